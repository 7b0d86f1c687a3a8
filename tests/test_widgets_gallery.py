"""The gallery: its orders by hand, records that do not fit, the picture, and the demos built on it."""

import csv
import json
import re

import numpy as np
import pytest

from anomaly_course.widgets.demos import gallery_demo, threshold_demo
from anomaly_course.widgets.gallery import gallery, gallery_figure
from anomaly_course.widgets.runs import AS_STORED, FALSE_ALARMS, MISSES, Run, live_run, recorded_runs, scored_split
from anomaly_course.widgets.threshold_view import CALIBRATED, UNSEEN
from anomaly_course.widgets.trained import MINUTES, quick_dfr, split_of
from anomaly_lib.base.errors import InputError
from anomaly_lib.data import load_category
from anomaly_lib.params import load_params
from anomaly_lib.registry import params_class
from tests.conftest import TINY_SETTINGS
from tests.helpers import assert_controls_change_the_picture_and_reset_restores_it, widget_parts

SCORES = [0.1, 0.9, 0.3, 0.2, 0.8, 0.05, 0.7, 0.6]  # four normal images, then four anomalous ones


@pytest.fixture(scope="module")
def profile(tiny_data, tmp_path_factory):
    changes = {"data": str(tiny_data), "categories": ["dots"], "reports": str(tmp_path_factory.mktemp("reports"))}
    return load_params().model_copy(update=changes | {"methods": {"dfr": params_class("dfr")(**TINY_SETTINGS["dfr"])}})


@pytest.fixture(scope="module")
def model(profile):
    return quick_dfr(profile, "dots", steps=80)


@pytest.fixture
def run(profile):
    return Run("DFR · dots", load_category(profile.data, "dots").test, np.array(SCORES), 0.5, lambda sample: None)


def test_worst_mistakes_come_first(run):
    assert run.order(AS_STORED) == list(range(8))
    assert run.order(MISSES) == [5, 7, 6, 4]
    assert run.order(FALSE_ALARMS) == [1, 2, 3, 0]
    with pytest.raises(ValueError, match="an order is one of"):
        run.order("best")


@pytest.mark.parametrize(
    ("order", "position", "words"),
    [
        (MISSES, 0, "image 1 of 4, missed"),
        (MISSES, 1, "image 2 of 4, found"),
        (FALSE_ALARMS, 0, "image 1 of 4, false alarm"),
        (FALSE_ALARMS, 99, "image 4 of 4, passed"),
    ],
)
def test_the_title_says_what_became_of_the_image(run, order, position, words):
    assert words in gallery_figure(run, order, position).get_suptitle()


def test_without_a_model_the_scores_are_shown_and_the_map_says_so(run):
    figure = gallery_figure(run, MISSES, 0)
    assert "only its scores are" in figure.axes[1].texts[0].get_text()
    assert "0.05 below 0.5, normal" in figure.axes[2].get_title()


def test_controls_move_the_picture_and_reset_restores_it(profile, model, run):
    live = live_run(profile, model)
    widget = gallery([live, run])
    alt = re.search('alt="([^"]*)"', widget_parts(widget)[2].value)[1]
    assert "passed" in alt or "false alarm" in alt
    assert_controls_change_the_picture_and_reset_restores_it(widget)
    assert "anomaly map, largest" in gallery_figure(live, AS_STORED, 0).axes[1].get_title()
    with pytest.raises(ValueError, match="at least one run"):
        gallery([])


def record(profile, folder, names, threshold=0.5):
    place = folder / "evaluate/dfr-dots-0"
    place.mkdir(parents=True)
    with (place / "scores.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerows([["image", "anomalous", "score"], *([name, 0, 0.25] for name in names)])
    (place / "metrics.json").write_text(json.dumps({"image_threshold": threshold}))
    return profile.model_copy(update={"reports": str(folder)})


def test_recorded_runs_have_the_scores_of_the_pipeline(profile, tmp_path):
    names = [f"{s.defect}/{s.path.name}" for s in load_category(profile.data, "dots").test]
    (found,) = recorded_runs(record(profile, tmp_path, names))
    assert found.title == "DFR · dots · seed 0"
    assert found.scores.tolist() == [0.25] * 8
    assert found.map_of(found.samples[0]) is None
    assert recorded_runs(profile) == []


def test_a_record_of_other_images_is_refused_in_one_line(profile, tmp_path):
    with pytest.raises(InputError, match=r"dfr-dots-0: not the record of these test images .*dvc repro"):
        recorded_runs(record(profile, tmp_path, ["good/unknown.png"]))


def test_the_threshold_demo_has_curves_and_a_threshold_without_test_labels(profile, model):
    scored = scored_split(profile, model)
    assert scored.pixels.at(-np.inf) == (1, pytest.approx(1))
    assert scored.threshold == model.thresholds["image"]
    unseen, labels = scored.unseen
    assert (len(unseen), labels.sum()) == (4, 2)
    assert {CALIBRATED, UNSEEN} < set(scored.choices(0.1, 10))
    fit, held_out = split_of(profile, load_category(profile.data, "dots"), 0)
    assert (len(fit), len(held_out)) == (8, 2)


def test_demos_without_models_offer_to_fit_one(profile):
    for demo in (gallery_demo(profile), threshold_demo(profile, "dfr", "dots")):
        assert f"make repro, {MINUTES} minutes" in demo.children[0].children[0].value
