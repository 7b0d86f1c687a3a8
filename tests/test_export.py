"""Bundles: they say what the trained model said, `verify` finds those that do not, and `detect` needs no torch."""

import contextlib
import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
from PIL import Image

from anomaly_lib.base.errors import InputError
from anomaly_lib.cli import main
from anomaly_lib.data import load_category
from anomaly_lib.data.regions import PLACE, load_region, save_region
from anomaly_lib.data.tensors import load_images
from anomaly_lib.detect.run import detect
from anomaly_lib.evaluation import is_anomalous
from anomaly_lib.export.bundle import digest_of, load_bundle
from anomaly_lib.export.verify import verify
from anomaly_lib.export.write import calibrate, export, train
from anomaly_lib.registry import METHODS, params_class
from tests.conftest import TINY_SETTINGS
from tests.helpers import close_to

BOUND = 1e-4
TINY, REGION = TINY_SETTINGS, [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]
PLAIN = {
    "image_resize": "nearest",
    "feature_space": "raw",
    "resize": "nearest",
    "location_prior": None,
    "smoothing_sigma": 0.0,
}
OFFICIAL = {
    "draem": TINY["draem"] | {"epochs": None, "steps": 4},
    "dfr": {"image_size": 64, "feature_size": 16, "latent": 5, "epochs": None, "steps": 4, "batch": 128},
    "dmad": {"image_size": 64, "backbone": "tf_efficientnet_lite0", "epochs": None, "steps": 2, "batch": 2},
}
"""What makes the authors' presets small; DFR's has random weights of VGG19 and two of its layers (all of them take six
minutes, and agreed when they were tried), DMAD's another teacher."""
VARIANTS = {
    "draem as the authors see and score": TINY["draem"] | {"channel_order": "bgr", "score_window": 21, "steps": 20},
    "dfr without its additions": TINY["dfr"] | PLAIN | {"steps": 40},
    "dmad with all that it can add": TINY["dmad"]
    | {"coordinates": "block", "deformation_map": "both", "feature_space": "standardised", "steps": 20},
    "dmad without deformation and codes": TINY["dmad"] | {"deformation": False, "codes": None, "steps": 20},
    "draem official": OFFICIAL["draem"] | {"preset": "official"},
    "draem paper": OFFICIAL["draem"] | {"preset": "paper"},
    "dfr official_12": OFFICIAL["dfr"] | {"preset": "official_12", "layers": ["relu1_1", "relu4_4"]},
    "dfr official_16": OFFICIAL["dfr"] | {"preset": "official_16", "layers": ["relu1_1", "relu5_4"]},
    "dmad official_image": OFFICIAL["dmad"] | {"preset": "official_image", "score_normalisation": "normals"},
    "dmad official_pixel": OFFICIAL["dmad"] | {"preset": "official_pixel", "score_normalisation": "normals"},
    "mean_image": TINY["mean_image"],
    "padim": TINY["padim"],
    "patchcore": TINY["patchcore"],
}
"""Settings that change what a method computes, all presets among them; the fixture ``bundle`` is DFR's default."""


@pytest.fixture(scope="module")
def category(tiny_data):
    """The folder of the tiny data's one category."""
    return tiny_data / "dots"


@pytest.fixture(scope="module")
def bundle(root, model_folder, tiny_data, tmp_path_factory):
    """The tiny DFR model, exported by the command from a profile that has it."""
    profile = tmp_path_factory.mktemp("profile")
    (profile / "data.dvc").write_text("")
    text = (root / "params.yaml").read_text().replace("data: data/sample", f"data: {tiny_data}")
    (profile / "params.yaml").write_text(text.replace("categories: [fabric, nut, capsule, wood]", "categories: [dots]"))
    shutil.copytree(model_folder, profile / "reports/calibrate/dfr-dots-0")
    with contextlib.chdir(profile):
        assert main(["export", "dfr", "--category", "dots", "--output", "bundle"]) == 0
        assert main(["export", "dmad", "--category", "dots", "--output", "other"]) == 2  # no such model
    return profile / "bundle"


def assert_says_the_same(folder, model, images, region=None):
    """Maps, scores, decisions and pictures of the bundle are the model's."""
    maps, scores, pictures = load_bundle(folder).method.see(images.numpy(), explain=True)
    expected, explained = model.method.score(images, region=region), model.method.explain(images)
    close_to(maps, expected.maps, BOUND)
    close_to(scores, expected.scores, BOUND)
    for level, ours, theirs in (
        ("image", scores, expected.scores.numpy()),
        ("pixel", maps, expected.maps.numpy()),
    ):
        # a model of four steps can say the same of every image, within rounding: nothing is decided there
        clear = np.abs(theirs - model.thresholds[level]) > BOUND * np.abs(theirs).max()
        threshold = model.thresholds[level]
        assert np.array_equal(is_anomalous(ours[clear], threshold), is_anomalous(theirs[clear], threshold))
    assert pictures.keys() == explained.keys()
    for key in explained.keys() - {"map"}:
        close_to(pictures[key], explained[key], 10 * BOUND)


def test_every_preset_is_among_the_variants():
    presets = {(name, preset) for name in METHODS for preset in getattr(params_class(name), "presets", {"default": {}})}
    tried = {(name.split()[0], settings.get("preset", "default")) for name, settings in VARIANTS.items()}
    assert presets <= tried


@pytest.mark.parametrize("name", VARIANTS)
def test_a_bundle_says_what_the_model_says(name, category, vgg19_weights, tmp_path):
    weights = {"weights": str(vgg19_weights)} if name.startswith("dfr official") else {}
    model = calibrate(train(name.split()[0], category, **VARIANTS[name] | weights), category)
    folder = export(model, category, tmp_path / "bundle")
    assert_says_the_same(folder, model, load_images(load_category(category.parent, "dots").test, 64))
    assert verify(folder) == []


def test_the_command_exports_a_profiles_model(bundle, model, category):
    assert_says_the_same(bundle, model, load_images(load_category(category.parent, "dots").test, 64))
    assert main(["verify", str(bundle)]) == 0
    record = json.loads((bundle / "bundle.json").read_text())
    assert (record["thresholds"], record["digest"]) == (model.thresholds, model.digest)
    assert f"{model.thresholds['image']:.6g} or more" in (bundle / "card.md").read_text()


def test_a_detectors_arrays_are_its_tensors(model, tiny_data):
    images = load_images(load_category(tiny_data, "dots").test[:3], 64)
    maps, scores, pictures = model.method.see(images.numpy())
    expected = model.method.score(images)
    assert np.array_equal(maps, expected.maps)
    assert np.array_equal(scores, expected.scores)
    assert pictures == {}


def test_a_region_of_interest_is_a_part_of_the_model(model, bundle, category, tmp_path):
    copy = shutil.copytree(category, tmp_path / "data/dots")
    save_region(copy / PLACE, REGION)
    images, region = load_images(load_category(copy.parent, "dots").test, 64), load_region(copy / PLACE, 64)
    assert_says_the_same(export(model, copy, tmp_path / "bundle"), model, images, region)
    assert verify(tmp_path / "bundle") == []
    with pytest.raises(InputError, match="is a part of its model"):
        load_bundle(bundle).method.see(images.numpy(), region=region.numpy())


def other_threshold(record, folder):
    record["thresholds"]["image"] *= 1.01


def other_resizing(record, folder):
    record["resize"]["filter"] = "nearest"


def other_size(record, folder):
    record["image_size"] = 32


def other_card(record, folder):
    record["seed"] = 1


def other_reference(record, folder):
    (folder / "reference.npz").write_bytes(b"PK")


def no_model(record, folder):
    (folder / "model.onnx").unlink()


def no_reference(record, folder):
    (folder / "reference.npz").unlink()


def no_model_but_a_file(record, folder):
    (folder / "model.onnx").write_bytes(b"nothing")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (other_threshold, "bundle.json: image threshold"),
        (other_resizing, "bundle.json: resizing rule"),
        (other_size, "a photo resized to 32 pixels is not the image"),
        (other_card, "card.md: does not say"),
        (other_reference, "reference.npz: damaged"),
        (no_model, "model.onnx: missing"),
        (no_reference, "reference.npz: missing"),
        (no_model_but_a_file, "ONNX Runtime cannot load it"),
    ],
)
def test_verify_names_what_is_wrong(bundle, tmp_path, capsys, spoil, said):
    folder = shutil.copytree(bundle, tmp_path / "spoilt")
    record = json.loads((folder / "bundle.json").read_text())
    spoil(record, folder)
    (folder / "bundle.json").write_text(json.dumps(record))
    assert main(["verify", str(folder)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert any(said in line for line in lines), lines
    assert all(line.startswith(f"{folder}: ") for line in lines)


def test_verify_refuses_other_weights_even_with_their_digest(bundle, tmp_path):
    folder = shutil.copytree(bundle, tmp_path / "mixed")
    network = onnx.load(folder / "model.onnx")
    weights = max(network.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    values = onnx.numpy_helper.to_array(weights)
    weights.raw_data = np.random.default_rng(1).permutation(values, axis=0).tobytes()
    onnx.save(network, folder / "model.onnx")
    assert "model.onnx: its digest is not the one in bundle.json" in verify(folder)
    with pytest.raises(InputError, match="is not the model that"):
        load_bundle(folder)
    record = json.loads((folder / "bundle.json").read_text())
    record["digests"]["model.onnx"] = digest_of(folder / "model.onnx")
    (folder / "bundle.json").write_text(json.dumps(record))
    assert [line.split(" differs")[0] for line in verify(folder)][:2] == ["model.onnx: score", "model.onnx: map"]


def test_verify_and_detect_without_a_bundle_are_bad_input(tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 2
    assert main(["detect", str(tmp_path), "--bundle", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("no bundle here") == 2
    (tmp_path / "bundle.json").write_text("{}")
    with pytest.raises(InputError, match="not a bundle of this version"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("preset", ["official_image", "official_pixel"])
def test_a_score_that_depends_on_others_is_not_exported(category, tmp_path, preset):
    with pytest.raises(
        InputError, match=r"depend on each other \(score_normalisation: scored_set\) cannot be exported"
    ):
        export(train("dmad", category, **OFFICIAL["dmad"], preset=preset), category, tmp_path / "bundle")
    assert not (tmp_path / "bundle/bundle.json").exists()


def test_unknown_settings_are_refused():
    with pytest.raises(InputError, match=r"unknown key 'methods\.dfr\.stepps': did you mean 'steps'"):
        train("dfr", "data/sample/nut", stepps=3)


def test_detect_with_a_bundle_writes_what_the_model_writes(model, bundle, category, tmp_path):
    exported = load_bundle(bundle)
    both = [
        detect(one, category / "test", tmp_path / name, maps=True, progress=False)
        for name, one in (("torch", model), ("bundle", exported))
    ]
    assert [(row.file, row.decision, row.regions) for row in both[0].rows] == [
        (row.file, row.decision, row.regions) for row in both[1].rows
    ]
    assert both[0].model == both[1].model
    for ours, theirs in zip(both[1].rows, both[0].rows, strict=True):
        assert ours.score == pytest.approx(theirs.score, rel=BOUND)
        close_to(np.load(tmp_path / "bundle" / ours.map), np.load(tmp_path / "torch" / theirs.map), BOUND)
        drawn = [np.asarray(Image.open(tmp_path / name / ours.picture), int) for name in ("bundle", "torch")]
        assert (np.abs(drawn[0] - drawn[1]) > 8).mean() < 1e-3
    headers = [next(csv.reader((tmp_path / name / "results.csv").open())) for name in ("torch", "bundle")]
    assert headers[0] == headers[1]


@pytest.mark.parametrize(
    "options", [["--no-pictures"], [], ["--tile", "40", "--maps"]], ids=["tables", "pictures", "tiles"]
)
def test_detect_with_a_bundle_loads_no_torch(bundle, category, tmp_path, root, options):
    arguments = ["detect", str(category / "test"), "--bundle", str(bundle), "--output", str(tmp_path / "out"), *options]
    code = f"""
import sys
from anomaly_lib.cli import main
assert main({arguments!r}) in (0, None)
heavy = ("torch", "torchvision", "timm", "kornia", "torchmetrics", "einops", "IPython")
print([name for name in heavy if name in sys.modules], "matplotlib" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"[] {'--no-pictures' not in options}"
    assert len(list(csv.DictReader((tmp_path / "out/results.csv").open()))) == 8


@pytest.mark.parametrize("option", ["--method", "--region"])
def test_a_bundle_stands_alone_on_the_command_line(bundle, category, tmp_path, capsys, option):
    command = ["detect", str(category / "test"), "--bundle", str(bundle), "--output", str(tmp_path), option, "dfr"]
    assert main(command) == 2
    assert f"leave out {option}" in capsys.readouterr().err
