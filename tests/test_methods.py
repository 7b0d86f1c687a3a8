"""One test over all methods: fit, score, save, load, equal; and the refusals that all share."""

import json

import pytest
import torch

from anomaly_lib.base.errors import InputError
from anomaly_lib.data import load_category
from anomaly_lib.data.tensors import load_images
from anomaly_lib.evaluation import image_auroc
from anomaly_lib.methods.base import METHODS
from anomaly_lib.methods.checkpoints import load_model, save_model
from anomaly_lib.registry import method_class, params_class
from tests.conftest import TINY_SETTINGS
from tests.helpers import close_to

THRESHOLDS = {"image": 1.0, "pixel": 1.0, "pixel_median": 0.0}


def make(name, seed=0, **changes):
    params = params_class(name).model_validate(TINY_SETTINGS[name] | changes)
    return method_class(name)(params, seed)


@pytest.fixture(scope="module", params=sorted(METHODS))
def fitted(request, tiny_data):
    """A method trained on the tiny data set."""
    method = make(request.param)
    normals = load_images(load_category(tiny_data, "dots").train, method.params.image_size)
    method.history = method.fit(normals, progress=False)
    method.normals = normals
    return method


@pytest.fixture(scope="module")
def test_split(tiny_data):
    samples = load_category(tiny_data, "dots").test
    return load_images(samples, 64), [sample.is_anomalous for sample in samples]


def test_it_learns_and_tells_anomalous_from_normal(fitted, test_split):
    images, labels = test_split
    scored = fitted.score(images)
    if METHODS[fitted.name].role == "method":  # a baseline may be computed in one step
        assert fitted.history[-1]["loss"] < fitted.history[0]["loss"]
    assert image_auroc(scored.scores, labels) == 1.0


def test_maps_and_scores_have_the_stated_form(fitted, test_split):
    scored = fitted.score(test_split[0])
    assert (scored.maps.shape, scored.maps.dtype) == ((8, 64, 64), torch.float32)
    assert (scored.scores.shape, scored.scores.dtype) == ((8,), torch.float32)
    assert torch.isfinite(scored.maps).all()


def test_an_image_is_scored_alike_alone_and_in_company(fitted, test_split):
    together, alone = fitted.score(test_split[0]), fitted.score(test_split[0][5:6])
    close_to(together.maps[5:6], alone.maps, 3e-6)


def test_a_region_of_everything_changes_nothing(fitted, test_split):
    free = fitted.score(test_split[0])
    confined = fitted.score(test_split[0], region=torch.ones(64, 64, dtype=torch.bool))
    assert torch.equal(confined.maps, free.maps)
    assert torch.equal(confined.scores, free.scores)


def test_what_lies_outside_of_the_region_does_not_count(fitted, test_split):
    images, labels = test_split
    maps = fitted.score(images).maps
    elsewhere = maps < maps.flatten(1).quantile(0.5, dim=1)[:, None, None]  # of each image its calmer half
    free, confined = fitted.score(images), fitted.score(images, region=elsewhere)
    assert confined.maps[~elsewhere].eq(0).all()
    assert torch.equal(confined.maps[elsewhere], maps[elsewhere])
    anomalous = torch.tensor(labels)
    assert (confined.scores < free.scores)[anomalous].all()


def test_two_trainings_give_the_same_bits_and_another_seed_does_not(fitted):
    again, other = make(fitted.name), make(fitted.name, seed=1)
    for method in (again, other):
        method.fit(fitted.normals, progress=False)
    first = fitted.state_dict()
    assert all(torch.equal(tensor, first[key]) for key, tensor in again.state_dict().items())
    if METHODS[fitted.name].role == "method":  # a baseline may draw nothing
        assert any(not torch.equal(tensor, first[key]) for key, tensor in other.state_dict().items())


def test_saved_and_loaded_it_gives_the_same_bits(fitted, test_split, tmp_path):
    saved = save_model(tmp_path, fitted, "dots", THRESHOLDS)
    loaded = load_model(tmp_path)
    assert (loaded.category, loaded.thresholds, loaded.digest) == ("dots", THRESHOLDS, saved.digest)
    assert torch.equal(loaded.method.score(test_split[0]).maps, fitted.score(test_split[0]).maps)
    first = (tmp_path / "model.safetensors").read_bytes()
    save_model(tmp_path, fitted, "dots", THRESHOLDS)
    assert (tmp_path / "model.safetensors").read_bytes() == first


def test_explain_and_architecture_describe_the_live_model(fitted, test_split):
    pictures = fitted.explain(test_split[0][:2])
    assert torch.equal(pictures["map"], fitted.score(test_split[0][:2]).maps)
    assert all(picture.shape[-2:] == (64, 64) and len(picture) == 2 for picture in pictures.values())
    rows = fitted.architecture()
    assert {"part", "parameters"} <= set(rows[0])
    assert sum(row["parameters"] for row in rows) > 0


def test_bad_input_gets_one_clear_line(fitted, test_split):
    with pytest.raises(InputError, match="needs images of shape"):
        fitted.score(test_split[0][..., :32])
    with pytest.raises(InputError, match="is not trained"):
        make(fitted.name).score(test_split[0])


@pytest.mark.parametrize(
    "damage", ["no folder", "no tensors", "torn tensors", "other tensors", "torn record", "old format"]
)
def test_a_damaged_model_is_refused_in_one_line(fitted, tmp_path, damage):
    save_model(tmp_path, fitted, "dots", THRESHOLDS)
    tensors, record = tmp_path / "model.safetensors", tmp_path / "model.json"
    folder = tmp_path
    if damage == "no folder":
        folder = tmp_path / "nowhere"
    elif damage == "no tensors":
        tensors.unlink()
    elif damage == "torn tensors":
        tensors.write_bytes(tensors.read_bytes()[:-10])
    elif damage == "other tensors":
        content = bytearray(tensors.read_bytes())
        content[-1] ^= 1
        tensors.write_bytes(content)
    elif damage == "torn record":
        record.write_text(record.read_text()[:-30])
    else:
        record.write_text(json.dumps(json.loads(record.read_text()) | {"format": 0}))
    with pytest.raises(InputError) as caught:
        load_model(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tensors_of_other_settings_are_refused(fitted):
    state = {key: tensor[..., :-1] if tensor.ndim else tensor for key, tensor in fitted.state_dict().items()}
    with pytest.raises(InputError):
        make(fitted.name).load_state_dict(state)
    with pytest.raises(InputError):
        make(fitted.name).load_state_dict({})
