"""Choosing without test images, thresholds from all normals, and the hash of the images."""

import shutil

import pytest
import torch

from anomaly_lib.base.errors import InputError
from anomaly_lib.data import load_category
from anomaly_lib.data.folder import data_hash
from anomaly_lib.data.tensors import load_images
from anomaly_lib.evaluation import evaluate
from anomaly_lib.evaluation.intervals import decision_check
from anomaly_lib.evaluation.thresholds import RELATIVE, calibrate
from anomaly_lib.methods.base import method_class
from anomaly_lib.params import Selection, Thresholds
from anomaly_lib.protocols.cross_fit import cross_fitted
from anomaly_lib.protocols.selection import CRITERIA, selection_metrics
from anomaly_lib.registry import params_class
from tests.conftest import TINY_SETTINGS

SETTINGS = TINY_SETTINGS["dfr"] | {"steps": 20}


@pytest.fixture(scope="module")
def normals(tiny_data):
    return load_images(load_category(tiny_data, "dots").train, 64)


@pytest.fixture(scope="module")
def detector(normals):
    detector = method_class("dfr")(params_class("dfr").model_validate(SETTINGS), 0)
    detector.fit(normals[:6], progress=False)
    return detector


def test_a_detector_is_measured_on_held_out_normals_with_the_same_anomalies_each_time(detector, normals):
    held_out = normals[6:]
    first, again = (selection_metrics(detector, held_out, detector.score(held_out), Selection()) for _ in range(2))
    assert first == again
    assert tuple(first) == CRITERIA
    assert all(0 <= value <= 1 for value in first.values())


def test_a_blind_detector_is_told_from_one_that_sees(detector, normals):
    class Blind:
        scores_are_relative = False

        def score(self, images, region=None):
            scored = detector.score(images)
            return type(scored)(torch.zeros_like(scored.maps), torch.zeros_like(scored.scores))

    held_out = normals[6:]
    seeing = selection_metrics(detector, held_out, detector.score(held_out), Selection())
    blind = selection_metrics(Blind(), held_out, Blind().score(held_out), Selection())
    assert blind["synthetic_image_auroc"] == 0.5
    assert all(seeing[key] > blind[key] for key in CRITERIA)


def test_outside_of_a_region_nothing_counts(detector, normals):
    held_out, region = normals[6:], torch.zeros(64, 64, dtype=torch.bool)
    region[:, 40:] = True

    class Wild:
        scores_are_relative = False

        """Shouts about all that lies outside, as a method does not that is told of the region."""

        def score(self, images, region=None):
            scored = detector.score(images, region=region)
            return type(scored)(torch.where(region, scored.maps, 99.0), scored.scores)

    usual, wild = (
        selection_metrics(d, held_out, d.score(held_out, region=region), Selection(), region)
        for d in (detector, Wild())
    )
    assert usual == wild
    assert usual != selection_metrics(detector, held_out, detector.score(held_out), Selection())


def test_every_normal_is_scored_by_a_model_that_did_not_see_it(detector, normals, monkeypatch):
    seen = []
    fit = type(detector).fit
    monkeypatch.setattr(
        type(detector), "fit", lambda self, images, *rest: seen.append(images) or fit(self, images, *rest)
    )
    scored = cross_fitted(detector, normals, 3, progress=False)
    assert scored.scores.shape == (10,)
    assert scored.maps.shape == (10, 64, 64)
    assert len(seen) == 3
    assert sum(10 - len(images) for images in seen) == 10  # each image is left out once
    left_out = [[i for i in range(10) if not (images == normals[i]).flatten(1).all(1).any()] for images in seen]
    assert sorted(index for one in left_out for index in one) == list(range(10))


def test_cross_fitting_keeps_the_order_of_the_images_and_repeats_to_the_bit(detector, normals):
    first, again = (cross_fitted(detector, normals, 2, progress=False) for _ in range(2))
    assert torch.equal(first.scores, again.scores)
    torch.testing.assert_close(first.scores, first.maps.amax(dim=(1, 2)))


def test_scores_that_depend_on_their_set_are_refused_with_a_reason():
    """DMAD's official presets: min-max over the images scored together says nothing of other images."""
    official = method_class("dmad")(params_class("dmad").model_validate({"score_normalisation": "scored_set"}), 0)
    nothing = torch.zeros(4, 3, 256, 256)
    refused = selection_metrics(official, nothing, None, Selection())
    assert (refused.pop("reason"), refused) == (RELATIVE, dict.fromkeys(CRITERIA))
    with pytest.raises(InputError, match="scores depend on the images that are scored with it"):
        cross_fitted(official, nothing, 2)
    maps, scores = torch.rand(6, 4, 4), torch.rand(6)
    thresholds = calibrate(scores, maps, Thresholds(), relative=True)
    assert (thresholds["image"], thresholds["image_expected_rate"], thresholds["reason"]) == (None, None, RELATIVE)
    assert thresholds["pixel"] == calibrate(scores, maps, Thresholds())["pixel"]
    assert decision_check(thresholds, 0.0, 3) == {"reason": RELATIVE}
    found = evaluate(scores, torch.arange(6) > 2, maps, image_threshold=thresholds["reason"])
    assert found["image_f1"] is found["image_false_positive_rate"] is None
    assert found["undefined"]["image_f1"] == found["undefined"]["image_false_positive_rate"] == RELATIVE
    assert found["image_auroc"] is not None


def test_too_few_images_for_the_folds_are_refused(detector, normals):
    with pytest.raises(InputError, match="less than two"):
        cross_fitted(detector, normals[:5], 3)


@pytest.mark.parametrize(
    ("rule", "requested", "expected"),
    [("false_positive_rate", 0.05, 1 / 11), ("max", 0.0, 1 / 11), ("sigma", None, None)],
)
def test_each_rule_says_what_it_promises(rule, requested, expected):
    scores, maps = torch.arange(10.0), torch.rand(10, 8, 8)
    found = calibrate(scores, maps, Thresholds(image_rule=rule))
    assert found["image_rule"] == rule
    assert found["image_requested_rate"] == requested
    assert found["image_expected_rate"] == pytest.approx(expected)
    assert found["image"] > 9 or rule == "sigma"


def test_pixels_outside_of_the_region_do_not_move_the_threshold():
    maps = torch.rand(4, 8, 8)
    region = torch.zeros(8, 8, dtype=torch.bool)
    region[:4] = True
    disturbed = maps.masked_fill(~region, 99.0)
    one, other = (calibrate(torch.arange(4.0), m, Thresholds(), region) for m in (maps, disturbed))
    assert one == other
    assert calibrate(torch.arange(4.0), disturbed, Thresholds())["pixel"] > 90


def test_the_hash_changes_with_any_image_or_mask_and_not_with_the_place(tiny_data, tmp_path):
    shutil.copytree(tiny_data / "dots", tmp_path / "dots")
    first = data_hash(load_category(tiny_data, "dots"))
    assert data_hash(load_category(tmp_path, "dots")) == first
    mask = tmp_path / "dots/ground_truth/square/000_mask.png"
    mask.write_bytes(mask.read_bytes() + b"\0")
    assert data_hash(load_category(tmp_path, "dots")) != first
