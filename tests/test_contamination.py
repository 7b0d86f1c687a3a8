"""The contamination experiment: shares as asked, nothing trained on is tested, the same draw every time."""

from functools import partial
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from anomaly_lib.base.errors import InputError
from anomaly_lib.data import Sample, load_category
from anomaly_lib.figures.results import contamination_figure
from anomaly_lib.methods.base import method_class
from anomaly_lib.protocols.contamination import COLUMNS, contaminated_sets, contamination_rows
from anomaly_lib.registry import params_class

SHARES = (0, 0.05, 0.1, 0.2)


def samples(split, defect, count):
    return [Sample(Path(f"{split}/{defect}/{index:03d}.png"), split, defect, None) for index in range(count)]


@pytest.fixture(scope="module")
def normals():
    return samples("train", "good", 40)


@pytest.fixture(scope="module")
def test_split():
    return samples("test", "good", 10) + samples("test", "chip", 9) + samples("test", "rust", 6)


@pytest.fixture(scope="module")
def sets(normals, test_split):
    return contaminated_sets(normals, test_split, SHARES, seed=0)


@pytest.mark.parametrize("share", SHARES)
def test_a_training_set_has_all_normals_and_the_share_of_anomalous_images(sets, normals, share):
    training = sets.trainings[share]
    anomalous = [sample for sample in training if sample.is_anomalous]
    assert [sample for sample in training if not sample.is_anomalous] == normals
    assert abs(len(anomalous) / len(training) - share) <= 0.5 / len(normals)


def test_nothing_that_any_share_trained_on_is_tested(sets, test_split):
    trained_on = {sample for training in sets.trainings.values() for sample in training}
    assert not trained_on & set(sets.test)
    assert set(sets.test) | set(sets.set_aside) == set(test_split)
    assert sets.test == tuple(sample for sample in test_split if sample not in sets.set_aside)


def test_share_0_is_the_normal_training_set(sets, normals):
    assert sets.trainings[0] == tuple(normals)


def test_a_larger_share_holds_the_anomalous_images_of_a_smaller_one(sets):
    found = [{sample for sample in sets.trainings[share] if sample.is_anomalous} for share in SHARES]
    assert found[0] < found[1] < found[2] < found[3] == set(sets.set_aside)


def test_defect_types_take_turns(sets):
    types = [sample.defect for sample in sets.set_aside]
    assert all(types[index] != types[index + 1] for index in range(len(types) - 1))


def test_the_anomalous_images_stand_anywhere_among_the_normals(sets):
    places = [index for index, sample in enumerate(sets.trainings[0.2]) if sample.is_anomalous]
    assert min(places) < 20 < max(places)


def test_the_seed_alone_decides(sets, normals, test_split):
    assert contaminated_sets(normals, test_split, SHARES, seed=0) == sets
    assert contaminated_sets(normals, test_split, SHARES, seed=1).set_aside != sets.set_aside


@pytest.mark.parametrize("shares", [[], [1.0], [-0.1], [0.1, 0.1]])
def test_shares_that_mean_nothing_are_refused(normals, test_split, shares):
    with pytest.raises(InputError, match="distinct shares"):
        contaminated_sets(normals, test_split, shares, seed=0)


def test_a_share_that_leaves_no_anomalous_test_image_is_refused(normals, test_split):
    with pytest.raises(InputError, match="takes 40 anomalous images, and the test split has 15"):
        contaminated_sets(normals, test_split, [0, 0.5], seed=0)


def test_share_0_alone_needs_no_anomalous_image(normals):
    sets = contaminated_sets(normals, samples("test", "good", 3) + samples("test", "chip", 1), [0], seed=0)
    assert sets.set_aside == ()


@pytest.fixture(scope="module")
def rows(tiny_data):
    category = load_category(tiny_data, "dots")
    sets = contaminated_sets(category.train, category.test, [0, 0.2], seed=0)
    settings = {"image_size": 64, "feature_size": 16, "layers": ["stage0", "stage2"], "steps": 40, "batch": 128}
    untrained = partial(method_class("dfr"), params_class("dfr")(**settings), 0)
    return contamination_rows(untrained, sets, progress=False)


def test_a_method_is_trained_and_measured_at_each_share(rows):
    assert [tuple(row) for row in rows] == [COLUMNS, COLUMNS]
    assert [(row["share"], row["normal"], row["anomalous"]) for row in rows] == [(0, 10, 0), (0.2, 10, 2)]
    assert rows[0]["image_auroc"] > 0.9
    assert all(0 <= row[key] <= 1 for row in rows for key in COLUMNS[3:])


def test_the_figure_leaves_undefined_metrics_out(rows):
    without_masks = [row | {"aupro_030": None} for row in rows]
    figure = contamination_figure(without_masks, "dots")
    assert isinstance(figure, Figure)
    assert len(figure.axes[0].lines) == 2
    assert len(contamination_figure(rows, "dots").axes[0].lines) == 3
