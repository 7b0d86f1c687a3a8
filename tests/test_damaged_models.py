"""A damaged model is one line that names the file and what to do, exit code 2, and no output: whatever the damage."""

import hashlib
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save

from anomaly_lib.cli import main
from anomaly_lib.data import load_category
from anomaly_lib.data.tensors import load_images
from anomaly_lib.methods.checkpoints import RECORD, TENSORS, save_model
from anomaly_lib.registry import METHODS
from tests.conftest import quick_method

THRESHOLDS = {"image": 5.0, "pixel": 4.0, "pixel_median": 1.0}
ABSENT = object()


@pytest.fixture(scope="module")
def models(tiny_data, tmp_path_factory):
    """{method: folder of a model that was trained for two steps}."""
    folders, normals = {}, load_images(load_category(tiny_data, "dots").train, 64)
    for name in METHODS:
        method = quick_method(name)
        method.fit(normals, progress=False)
        folders[name] = tmp_path_factory.mktemp(name)
        save_model(folders[name], method, "dots", THRESHOLDS)
    return folders


@pytest.fixture
def refused(tiny_data, tmp_path, capsys):
    """Run ``detect`` with a model and return its one line on stderr."""

    def run(model):
        photo, out = tiny_data / "dots/test/square/000.png", tmp_path / "out"
        code = main(["detect", str(photo), "--model", str(model), "--output", str(out), "--no-pictures"])
        lines = capsys.readouterr().err.splitlines()
        assert (code, len(lines), out.exists()) == (2, 1, False), lines
        assert len(lines[0]) < 700
        return lines[0]

    return run


def test_the_models_themselves_are_fine(models, tiny_data, tmp_path, capsys):
    for name, folder in models.items():
        photo = str(tiny_data / "dots/test/square/000.png")
        assert main(["detect", photo, "--model", str(folder), "--output", str(tmp_path / name)]) == 0
    assert capsys.readouterr().err == ""


def changed(record, key, value):
    """The record with a value at ``a.b`` replaced, or removed."""
    *above, last = key.split(".")
    section = record
    for name in above:
        section = section[name]
    if value is ABSENT:
        del section[last]
    else:
        section[last] = value
    return record


RECORDS = [
    *((key, ABSENT) for key in ("format", "method", "category", "seed", "digest", "params", "thresholds")),
    *((key, None) for key in ("format", "method", "category", "seed", "digest", "params", "thresholds")),
    ("format", 2),
    ("format", "1"),
    ("method", 5),
    ("method", "dfrr"),
    ("method", "../dfr"),
    ("category", ["dots"]),
    ("seed", "0"),
    ("seed", -1),
    ("seed", 0.5),
    ("digest", 0),
    ("params", []),
    ("params", "dfr"),
    ("params.image_size", "64"),
    ("params.image_size", 0),
    ("params.image_size", 10**9),
    ("params.backbone", "resnet9000"),
    ("params.backbone", 3),
    ("params.layers", []),
    ("params.layers", ["stage99"]),
    ("params.layers", "stage0"),
    ("params.nonsense", 1),
    ("thresholds", []),
    ("thresholds", 3.0),
    ("thresholds.image", "5"),
    ("thresholds.image", [5.0]),
    ("thresholds.image", True),
    ("thresholds.image", float("nan")),
    ("thresholds.pixel", float("inf")),
    ("thresholds.pixel", {}),
    ("thresholds.pixel_median", ABSENT),
    ("thresholds.pixel_median", "1"),
]


@pytest.mark.parametrize(("key", "value"), RECORDS, ids=lambda part: "absent" if part is ABSENT else str(part))
def test_a_record_with_parts_missing_or_of_another_type_is_refused(key, value, models, refused, tmp_path):
    folder = shutil.copytree(models["dfr"], tmp_path / "model")
    record = json.loads((folder / RECORD).read_text())
    (folder / RECORD).write_text(json.dumps(changed(record, key, value)))
    assert refused(folder).startswith(f"error: {folder / RECORD}: ")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe{", b"[" * 5000, b'{"format": 1}', "{}".encode("utf-16")],
    ids=["empty", "torn", "list", "null", "no text", "deep", "only a format", "UTF-16"],
)
def test_a_record_that_is_none_is_refused(content, models, refused, tmp_path):
    folder = shutil.copytree(models["dfr"], tmp_path / "model")
    (folder / RECORD).write_bytes(content)
    assert refused(folder).startswith(f"error: {folder / RECORD}: ")


def test_a_file_instead_of_a_folder_and_a_folder_instead_of_a_file_are_named(models, refused, tmp_path):
    folder = shutil.copytree(models["dfr"], tmp_path / "model")
    expected = f"error: {folder / RECORD}: is a file; give the folder that holds model.json"
    assert refused(folder / RECORD) == expected
    for name in (TENSORS, RECORD):
        (folder / name).unlink()
        (folder / name).mkdir()
        assert refused(folder).startswith(f"error: {folder / name}: ")
    assert refused(tmp_path / "nowhere").startswith(f"error: {tmp_path / 'nowhere'}: no trained model here")


def first_weight(state):
    """Name of the first tensor of two dimensions or more."""
    return next(name for name, tensor in state.items() if tensor.ndim > 1 and tensor.is_floating_point())


def replaced(change):
    """A damage that puts another tensor in the place of the first weight."""
    return lambda state: state | {first_weight(state): change(state[first_weight(state)]).contiguous()}


DAMAGES = {
    "not a number": replaced(lambda tensor: tensor * torch.nan),
    "one infinite value": replaced(lambda tensor: tensor.index_fill(0, torch.tensor([0]), torch.inf)),
    "a dimension more": replaced(lambda tensor: tensor[None]),
    "a dimension less": replaced(lambda tensor: tensor[0]),
    "a single number": replaced(lambda tensor: tensor.sum()),
    "nothing": replaced(lambda tensor: tensor[:0]),
    "a row less": replaced(lambda tensor: tensor[1:]),
    "whole numbers": replaced(lambda tensor: tensor.round().long()),
    "double": replaced(lambda tensor: tensor.double()),
    "a tensor too few": lambda state: {name: state[name] for name in state if name != first_weight(state)},
    "a tensor too many": lambda state: state | {"nonsense": torch.zeros(2)},
    "no tensor": lambda state: {},
}


def with_tensors(folder, target, tensors):
    """A copy of a model with other tensors, whose digest fits."""
    shutil.copytree(folder, target)
    content = tensors if isinstance(tensors, bytes) else save(tensors)
    (target / TENSORS).write_bytes(content)
    record = json.loads((target / RECORD).read_text())
    (target / RECORD).write_text(json.dumps(record | {"digest": hashlib.sha256(content).hexdigest()[:16]}))
    return target


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("damage", DAMAGES)
def test_tensors_of_wrong_values_ranks_shapes_and_types_are_refused(method, damage, models, refused, tmp_path):
    state = DAMAGES[damage](load_file(models[method] / TENSORS))
    folder = with_tensors(models[method], tmp_path / "model", state)
    assert refused(folder).startswith(f"error: {folder / TENSORS}: ")


@pytest.mark.parametrize("damage", ["a dimension less", "a row less", "a single number", "whole numbers"])
@pytest.mark.parametrize("name", ["space.mean", "space.matrix"])
def test_the_feature_space_of_dfr_is_checked_too(name, damage, models, refused, tmp_path):
    state = load_file(models["dfr"] / TENSORS)
    whole = {name: state[name].reshape(len(state[name]), -1)}
    changed_tensor = DAMAGES[damage](whole)[name]
    folder = with_tensors(models["dfr"], tmp_path / "model", state | {name: changed_tensor})
    assert refused(folder).startswith(f"error: {folder / TENSORS}: ")


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\xff" * 100, b"PK\3\4" + b"\0" * 60])
def test_tensors_that_are_none_are_refused(content, models, refused, tmp_path):
    folder = with_tensors(models["dfr"], tmp_path / "model", content)
    assert refused(folder).startswith(f"error: {folder / TENSORS}: missing or damaged")


def test_tensors_of_another_method_are_refused(models, refused, tmp_path):
    folder = with_tensors(models["dfr"], tmp_path / "model", (models["draem"] / TENSORS).read_bytes())
    assert refused(folder).startswith(f"error: {folder / TENSORS}: ")
