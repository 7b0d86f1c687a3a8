"""Ingest: a generated miniature of each layout becomes the one layout, and every refusal is one line."""

import shutil
from collections import Counter
from pathlib import PurePosixPath

import numpy as np
import pytest
from PIL import Image

from anomaly_lib.base.errors import InputError
from anomaly_lib.cli import main
from anomaly_lib.data import load_category, read_mask
from anomaly_lib.data.folder import UNCERTAIN
from anomaly_tools.ingest import Request, ingest
from anomaly_tools.ingest.layouts import LAYOUTS as ADAPTERS
from anomaly_tools.ingest.plan import count_by_split
from anomaly_tools.ingest.tables import elpv_package, plan_elpv
from anomaly_tools.validate import validate
from tests import layouts

EXPECTED = {  # folder of the result: number of files
    "mvtec": {
        "bottle/train/good": 8,
        "bottle/test/good": 3,
        "bottle/test/broken_large": 3,
        "bottle/test/contamination": 3,
        "bottle/ground_truth/broken_large": 3,
        "bottle/ground_truth/contamination": 3,
        "grid/train/good": 8,
        "grid/test/good": 3,
        "grid/test/bent": 3,
        "grid/ground_truth/bent": 3,
    },
    "mvtec_ad_2": {"can/train/good": 10, "can/test/good": 3, "can/test/bad": 3, "can/ground_truth/bad": 3},
    "mvtec_loco": {
        "pushpins/train/good": 10,
        "pushpins/test/good": 3,
        "pushpins/test/logical_anomalies": 3,
        "pushpins/test/structural_anomalies": 3,
        "pushpins/ground_truth/logical_anomalies": 3,
        "pushpins/ground_truth/structural_anomalies": 3,
    },
    "visa": {"candle/train/good": 8, "candle/test/good": 3, "candle/test/anomaly": 3, "candle/ground_truth/anomaly": 3},
    "btad": {
        f"{name}/{folder}": count
        for name in ("01", "03")
        for folder, count in {"train/good": 8, "test/good": 3, "test/ko": 3, "ground_truth/ko": 3}.items()
    },
    "dtd": {"banded": 3, "woven": 3},
    "elpv": {
        f"{name}/{folder}": count
        for name in ("monocrystalline", "polycrystalline")
        for folder, count in {
            "train/good": 8,
            "test/good": 2,
            "test/defective": 3,
            f"{UNCERTAIN}/possibly_defective": 2,
            f"{UNCERTAIN}/probably_defective": 1,
        }.items()
    },
}
CATEGORIES = {"mvtec": "bottle", "mvtec_ad_2": "can", "mvtec_loco": "pushpins", "visa": "candle", "btad": "03"}
"""One of each data set with masks."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """{layout: folder of its miniature}."""
    root = tmp_path_factory.mktemp("sources")
    for name, write in layouts.LAYOUTS.items():
        write(root / name)
    return {name: root / name for name in layouts.LAYOUTS}


@pytest.fixture(scope="module", params=list(layouts.LAYOUTS))
def done(request, sources, tmp_path_factory):
    """(layout, its miniature, what became of it)."""
    target = tmp_path_factory.mktemp("target") / "set"
    ingest(Request(request.param, (sources[request.param],)), target, progress=False)
    return request.param, sources[request.param], target


def test_the_result_has_the_one_layout(done):
    name, _, target = done
    folders = Counter(PurePosixPath(path).parent.as_posix() for path in layouts.tree(target))
    assert folders.pop(".") == 2  # README.md and ingest.json
    assert folders == EXPECTED[name]


def test_validate_finds_nothing(done):
    name, _, target = done
    if name != "dtd":
        assert validate(target) == []


def test_every_image_is_there_byte_for_byte(done):
    """Every file of the result but merged masks is one of the source's; none is there twice."""
    _, source, target = done
    of_source = Counter(layouts.tree(source).values())
    places = {path for path in layouts.tree(target) if "/" in path and "ground_truth/logical" not in path}
    of_target = Counter(content for path, content in layouts.tree(target).items() if path in places)
    assert not {content for content in of_target if content not in of_source}
    images = [path for path in places if "ground_truth" not in path]
    assert len({(target / path).read_bytes() for path in images}) == len(images)


def test_masks_say_what_they_said(done):
    name, _, target = done
    if name not in CATEGORIES:
        pytest.skip("no masks in this data set")
    category = load_category(target, CATEGORIES[name])
    assert category.has_masks
    for sample in category.test:
        if sample.is_anomalous:
            mask, image = read_mask(sample.mask_path), np.asarray(Image.open(sample.path).convert("L"))
            assert (image > 200)[mask].sum() >= 140  # the square of 12 x 12, less what JPEG blurs
            assert mask.sum() == (144 + 9 if sample.defect == "logical_anomalies" else 144)


def test_loco_keeps_the_names_of_both_splits_apart(sources, tmp_path):
    ingest(Request("mvtec_loco", (sources["mvtec_loco"],)), tmp_path / "loco", progress=False)
    names = sorted(path.name for path in (tmp_path / "loco/pushpins/train/good").iterdir())
    assert names[:2] == ["000.png", "001.png"]
    assert names[-2:] == ["validation_000.png", "validation_001.png"]


def test_the_split_of_elpv_depends_on_the_names_alone(sources, tmp_path):
    moved = tmp_path / "elsewhere/deep/data"
    shutil.copytree(sources["elpv"], moved)
    lines = (moved / "labels.csv").read_text().splitlines()
    (moved / "labels.csv").write_text("\n".join(reversed(lines)) + "\n")
    for number, source in enumerate((sources["elpv"], moved)):
        ingest(Request("elpv", (source,)), tmp_path / f"{number}", progress=False)
    first, second = (
        {path for path in layouts.tree(tmp_path / f"{number}") if path.endswith(".png")} for number in (0, 1)
    )
    assert first == second


def test_the_package_elpv_has_the_classes_that_were_counted_in_it():
    """Counted in its labels.csv; that pixels equal those of its own loader was checked once, it takes a minute."""
    pytest.importorskip("elpv_dataset", reason="the extra elpv is not installed")
    counts = count_by_split(plan_elpv([elpv_package()], Request("elpv")).checked(4).items)
    assert counts == {
        "monocrystalline": {"train": 441, "test good": 147, "test anomalous": 313, UNCERTAIN: 173},
        "polycrystalline": {"train": 690, "test good": 230, "test anomalous": 402, UNCERTAIN: 228},
    }


def test_archives_one_a_category_and_archives_in_a_folder_give_the_same(sources, tmp_path):
    ingest(Request("mvtec", (sources["mvtec"],)), tmp_path / "plain", progress=False)
    parts = tmp_path / "parts"
    parts.mkdir()
    files = tuple(
        layouts.archive(sources["mvtec"] / name, parts / f"{name}.tar{end}")
        for name, end in (("bottle", ".gz"), ("grid", ""))
    )
    whole = layouts.archive(parts, tmp_path / "all.tar")
    for number, given in enumerate((files, (parts,), (whole,))):
        ingest(Request("mvtec", given), tmp_path / f"{number}", progress=False)
        assert _images(tmp_path / f"{number}") == _images(tmp_path / "plain")
    assert not list(tmp_path.glob(".ingest-*"))


def _images(folder):
    return {path: content for path, content in layouts.tree(folder).items() if "/" in path}


def test_only_the_wanted_category(sources, tmp_path):
    outcome = ingest(Request("mvtec", (sources["mvtec"],), ("grid",)), tmp_path / "set", progress=False)
    assert [path.name for path in (tmp_path / "set").iterdir() if path.is_dir()] == ["grid"]
    assert any("not checked" in line for line in outcome.lines)


def test_counts_that_differ_from_the_published_ones_are_lines_not_errors(sources, tmp_path, capsys):
    assert main(["data", "ingest", "mvtec", str(sources["mvtec"]), "--output", str(tmp_path / "set")]) == 0
    out = capsys.readouterr().out
    assert "train: 16, published are 3629" in out
    assert "masks: 9, published are 1258" in out
    assert "next: dvc add data" in out


@pytest.mark.parametrize("name", [name for name in layouts.LAYOUTS if name != "mvtec"])
def test_the_wrong_folder_is_called_by_what_it_looks_like(sources, tmp_path, name):
    with pytest.raises(InputError, match=f"use 'data ingest {name}'"):
        ingest(Request("mvtec", (sources[name],)), tmp_path / "set", progress=False)
    assert not (tmp_path / "set").exists()


def test_photos_of_ones_own(sources, tmp_path, capsys):
    bottle = sources["mvtec"] / "bottle"
    given = ["--good", bottle / "train/good", "--bad", bottle / "test", "--masks", bottle / "ground_truth"]
    shutil.copytree(bottle / "test", tmp_path / "bad")
    shutil.rmtree(tmp_path / "bad/good")
    given[3] = tmp_path / "bad"
    arguments = ["data", "ingest", "folder", *map(str, given), "--output", str(tmp_path / "own")]
    assert main([*arguments, "--name", "my_parts"]) == 0
    assert validate(tmp_path / "own") == []
    found = load_category(tmp_path / "own", "my_parts")
    assert found.has_masks
    assert found.defect_types == ("broken_large", "contamination")
    assert (len(found.train), len(found.test)) == (6, 2 + 6)
    assert main([*arguments, "--name", "my_parts"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert main([*arguments, "--name", "others"]) == 0  # a second part beside the first


def test_without_bad_photos_a_fifth_of_the_good_ones_still_tells_false_alarms(sources, tmp_path):
    good = sources["mvtec"] / "grid/train/good"
    done = ingest(Request("folder", name="part", good=good), tmp_path, progress=False)
    found = load_category(tmp_path, "part")
    assert (len(found.train), [sample.defect for sample in found.test]) == (6, ["good", "good"])
    assert "no bad photos: false alarms can be counted, but not what a model finds" in "\n".join(done.lines)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("mvtec"), "which files?"),
        (Request("folder"), "give --good"),
        (Request("folder", name="../up", good="source"), "not a path"),
        (Request("mvtec", name="x", good="source"), "are for 'data ingest folder'"),
        (Request("mvtec", ("nowhere",)), "no such file or folder"),
        (Request("mvtec", ("source",), ("bottel",)), "no category 'bottel'; it has: bottle, grid"),
    ],
)
def test_bad_input_is_one_line(request_, message, sources, tmp_path):
    paths = {"source": sources["mvtec"], "nowhere": tmp_path / "nowhere"}
    changes = {"sources": tuple(paths[name] for name in request_.sources)}
    changes |= {"good": paths[request_.good]} if request_.good else {}
    with pytest.raises(InputError, match=message) as caught:
        ingest(Request(**(vars(request_) | changes)), tmp_path / "set", progress=False)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "set").exists()


def test_an_image_that_the_table_of_visa_names_outside_is_refused(sources, tmp_path):
    shutil.copytree(sources["visa"], tmp_path / "visa")
    (tmp_path / "secret.JPG").write_bytes(b"x")
    table = tmp_path / "visa/split_csv/1cls.csv"
    table.write_text(table.read_text() + "candle,test,normal,../secret.JPG,\n")
    with pytest.raises(InputError, match="lies outside"):
        ingest(Request("visa", (tmp_path / "visa",)), tmp_path / "set", progress=False)


def test_the_help_of_the_command_names_all_layouts(capsys):
    assert main(["data", "ingest", "--help"]) == 0
    arguments = capsys.readouterr().out.split("Options:")[0]
    assert [name for name in ADAPTERS if name not in arguments] == []
