"""Loading a folder in MVTec shape by its structure, and refusing what makes training wrong."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from anomaly_lib.base.errors import InputError
from anomaly_lib.data import list_categories, load_category
from anomaly_lib.data.folder import data_hash, scan_category
from anomaly_tools.validate import validate

NUT = (
    "nut/train/good/0.png",
    "nut/train/good/1.png",
    "nut/test/good/0.png",
    "nut/test/rust/0.png",
    "nut/test/rust/1.png",
    "nut/ground_truth/rust/0_mask.png",
    "nut/ground_truth/rust/1_mask.png",
)


def write(data: Path, *names: str) -> Path:
    """Files without content: loading looks at names only."""
    for name in names:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()
    return data


def refusal(data: Path, category: str = "nut") -> str:
    with pytest.raises(InputError) as excinfo:
        load_category(data, category)
    line = str(excinfo.value)
    assert len(line.splitlines()) == 1
    return line


# --- what is loaded


def test_a_category_is_loaded_from_its_structure(tmp_path):
    nut = load_category(write(tmp_path, *NUT), "nut")
    assert (nut.name, nut.folder) == ("nut", tmp_path / "nut")
    assert [sample.path.name for sample in nut.train] == ["0.png", "1.png"]
    assert {(s.split, s.defect, s.mask_path, s.is_anomalous) for s in nut.train} == {("train", "good", None, False)}
    assert [(s.split, s.defect, s.path.name, s.is_anomalous) for s in nut.test] == [
        ("test", "good", "0.png", False),
        ("test", "rust", "0.png", True),
        ("test", "rust", "1.png", True),
    ]
    truth = tmp_path / "nut/ground_truth/rust"
    assert [sample.mask_path for sample in nut.test] == [None, truth / "0_mask.png", truth / "1_mask.png"]
    assert nut.defect_types == ("rust",)
    assert nut.has_masks


def test_the_data_folder_may_be_a_string(tmp_path):
    assert load_category(str(write(tmp_path, *NUT)), "nut") == load_category(tmp_path, "nut")
    assert list_categories(str(tmp_path)) == ("nut",)


def test_the_order_is_that_of_the_names(tmp_path):
    names = ["10.png", "2.png", "B.png", "a.jpg"]
    write(tmp_path, *(f"nut/train/good/{name}" for name in reversed(names)))
    write(tmp_path, "nut/test/rust/0.png", "nut/test/good/0.png", "nut/test/chip/0.png")
    nut = load_category(tmp_path, "nut")
    assert [sample.path.name for sample in nut.train] == names
    assert [sample.defect for sample in nut.test] == ["chip", "good", "rust"]
    assert nut.defect_types == ("chip", "rust")


@pytest.mark.parametrize("name", ["a.PNG", "a.Jpg", "a.JPEG", "a.bmp", "a.tif", "a.TIFF"])
def test_extensions_count_in_any_case(tmp_path, name):
    write(tmp_path, f"nut/train/good/{name}")
    assert [sample.path.name for sample in load_category(tmp_path, "nut").train] == [name]


def test_other_files_and_hidden_ones_are_ignored(tmp_path):
    clutter = ("Thumbs.db", ".DS_Store", ".gitignore", "._0.png", "readme.txt", ".hidden/0.png")
    for folder in ("", "train/", "train/good/", "test/", "test/rust/", "ground_truth/", "ground_truth/rust/"):
        write(tmp_path, *(f"nut/{folder}{name}" for name in clutter))
    write(tmp_path, *NUT, "nut/license.txt", ".cache/train/good/0.png")
    nut = load_category(tmp_path, "nut")
    assert (len(nut.train), len(nut.test), nut.has_masks) == (2, 3, True)
    assert list_categories(tmp_path) == ("nut",)


def test_names_that_are_not_utf8_are_loaded(tmp_path):
    odd = os.fsdecode(b"\xff\xfe")
    write(
        tmp_path,
        f"nut/train/good/{odd}.png",
        f"nut/test/{odd}/{odd}.png",
        f"nut/ground_truth/{odd}/{odd}_mask.png",
    )
    nut = load_category(tmp_path, "nut")
    assert nut.defect_types == (odd,)
    assert nut.has_masks


@pytest.mark.parametrize("mask", ["0_mask.png", "0.png", "0_mask.BMP", "0.tif", "0_mask.jpg"])
def test_masks_are_found_by_either_name_and_any_extension(tmp_path, mask):
    write(tmp_path, "nut/train/good/0.png", "nut/test/rust/0.jpg", f"nut/ground_truth/rust/{mask}")
    assert load_category(tmp_path, "nut").test[0].mask_path == tmp_path / "nut/ground_truth/rust" / mask


def test_a_mask_belongs_to_its_own_defect_type(tmp_path):
    write(tmp_path, "nut/train/good/0.png", "nut/test/rust/0.png", "nut/ground_truth/chip/0_mask.png")
    assert load_category(tmp_path, "nut").test[0].mask_path is None


def test_good_samples_never_have_a_mask(tmp_path):
    write(tmp_path, *NUT, "nut/ground_truth/good/0_mask.png")
    assert load_category(tmp_path, "nut").test[0].mask_path is None


@pytest.mark.parametrize(
    ("test_files", "expected"),
    [
        (("test/rust/0.png", "ground_truth/rust/0_mask.png"), True),
        (("test/rust/0.png",), False),
        (("test/rust/0.png", "test/chip/0.png", "ground_truth/rust/0_mask.png"), False),
        (("test/rust/0.png", "test/rust/1.png", "ground_truth/rust/0_mask.png"), False),
        (("test/good/0.png",), False),
    ],
    ids=["all", "none", "one type only", "one image only", "nothing anomalous"],
)
def test_has_masks_asks_every_anomalous_sample(tmp_path, test_files, expected):
    write(tmp_path, "nut/train/good/0.png", *(f"nut/{name}" for name in test_files))
    assert load_category(tmp_path, "nut").has_masks is expected


def test_without_a_test_folder_test_is_empty(tmp_path):
    nut = load_category(write(tmp_path, "nut/train/good/0.png"), "nut")
    assert (nut.test, nut.defect_types, nut.has_masks) == ((), (), False)


def test_categories_are_folders_with_a_split(tmp_path):
    write(tmp_path, "b/train/good/0.png", "a/test/good/0.png", "dtd/banded/0.png", "loose.png", ".git/train/x")
    assert list_categories(tmp_path) == ("a", "b")


def test_a_folder_of_somebody_else_is_no_category(tmp_path, monkeypatch):
    looked_into = Path.is_dir

    def locked(self):
        if self.parent.name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return looked_into(self)

    write(tmp_path, *NUT, "lost+found/train/x")
    monkeypatch.setattr(Path, "is_dir", locked)  # chmod would not stop root
    assert list_categories(tmp_path) == ("nut",)


# --- what is refused


def test_a_missing_data_folder_is_named(tmp_path):
    assert "gone: no such data folder; give the folder that holds the categories" in refusal(tmp_path / "gone")
    with pytest.raises(InputError, match="gone: no such data folder"):
        list_categories(tmp_path / "gone")


def test_a_missing_category_names_the_nearest(tmp_path):
    write(tmp_path, "capsule/train/good/0.png", "nut/train/good/0.png", "wood/train/good/0.png")
    line = refusal(tmp_path, "capsul")
    assert "capsul: no such category; did you mean 'capsule'?" in line


def test_for_a_far_name_all_categories_are_named(tmp_path):
    assert "valid: nut" in refusal(write(tmp_path, *NUT), "xyz")


def test_a_data_folder_without_category_says_what_one_is(tmp_path):
    assert "no such category; the data folder has no category: a category is a folder that" in refusal(tmp_path)


def test_the_folder_above_the_data_folder_is_led_to_it(tmp_path):
    write(tmp_path / "textures", "banded/0.png")
    write(tmp_path / "sample", *NUT)
    assert f"the data folder has no category: give {tmp_path}/sample, which has some" in refusal(tmp_path)


def test_a_category_given_as_data_folder_is_recognised(tmp_path):
    write(tmp_path, *NUT)
    assert "is itself a category: give the folder above it" in refusal(tmp_path / "nut")


@pytest.mark.parametrize("category", ["", ".", "..", "../data/nut", "nut/train", "nut/", "/", "n\0t"])
def test_only_the_name_of_a_folder_is_a_category(tmp_path, category):
    assert "no such category" in refusal(write(tmp_path / "data", *NUT), category)


def test_missing_train_good_is_named(tmp_path):
    write(tmp_path, "nut/test/good/0.png")
    assert "nut/train/good: no such folder; put the normal training images there" in refusal(tmp_path)


def test_train_good_without_an_image_is_named(tmp_path):
    write(tmp_path, "nut/train/good/Thumbs.db", "nut/train/good/a.webp")
    line = refusal(tmp_path)
    assert "nut/train/good: has no image; put normal images there" in line
    assert "png" in line


@pytest.mark.parametrize("other", ["rust", "Good", "bad images"])
def test_another_folder_in_train_is_named(tmp_path, other):
    write(tmp_path, *NUT, f"nut/train/{other}/0.png")
    line = refusal(tmp_path)
    assert f"nut/train/{other}: only normal images may be in train; move its images to test/{other}" in line


LINKABLE = (
    "nut",
    "nut/train",
    "nut/train/good",
    "nut/train/good/0.png",
    "nut/test",
    "nut/test/rust",
    "nut/test/rust/0.png",
    "nut/ground_truth",
    "nut/ground_truth/rust",
    "nut/ground_truth/rust/0_mask.png",
)


def replace_by_link(data: Path, name: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    (data / name).rename(target)
    (data / name).symlink_to(target)


@pytest.mark.parametrize("name", LINKABLE)
def test_a_link_that_leaves_the_data_folder_is_refused(tmp_path, name):
    data = write(tmp_path / "data", *NUT)
    replace_by_link(data, name, tmp_path / "outside" / Path(name).name)
    line = refusal(data)
    assert f"{data}/nut" in line
    assert "is a link that leaves the data folder; put a copy of its target in its place" in line
    if name.endswith(".png"):
        assert name in line


@pytest.mark.parametrize("name", LINKABLE)
def test_a_link_within_the_data_folder_is_followed(tmp_path, name):
    data = write(tmp_path, *NUT)
    replace_by_link(data, name, data / ".store" / Path(name).name)
    nut = load_category(data, "nut")
    assert (len(nut.train), len(nut.test), nut.has_masks) == (2, 3, True)


def test_the_data_folder_itself_may_be_a_link(tmp_path):
    write(tmp_path / "real", *NUT)
    (tmp_path / "data").symlink_to(tmp_path / "real")
    assert len(load_category(tmp_path / "data", "nut").train) == 2


@pytest.mark.parametrize("target", ["gone.png", "loop.png"])
def test_a_link_that_leads_nowhere_is_refused(tmp_path, target):
    write(tmp_path, *NUT)
    (tmp_path / "nut/train/good/loop.png").symlink_to(target)
    assert "loop.png: is a link that leads nowhere; remove it" in refusal(tmp_path)


def test_a_link_that_is_no_image_is_ignored(tmp_path):
    write(tmp_path / "data", *NUT)
    write(tmp_path, "notes.txt")
    (tmp_path / "data/nut/train/good/notes.txt").symlink_to(tmp_path / "notes.txt")
    assert len(load_category(tmp_path / "data", "nut").train) == 2


def test_a_folder_that_may_not_be_listed_is_named(tmp_path, monkeypatch):
    listing = Path.iterdir

    def locked(self):
        if self.name == "good":
            raise PermissionError(13, "Permission denied")
        return listing(self)

    write(tmp_path, *NUT)
    monkeypatch.setattr(Path, "iterdir", locked)  # chmod would not stop root
    assert "nut/train/good: may not be listed; give yourself read permission" in refusal(tmp_path)


def test_a_scan_goes_on_where_loading_stops(tmp_path):
    write(tmp_path, *NUT, "nut/train/rust/0.png")
    (tmp_path / "nut/test/rust/2.png").symlink_to("gone.png")
    found, problems = scan_category(tmp_path, "nut")
    assert (len(found.train), len(found.test)) == (2, 3)
    assert [problem.path.name for problem in problems] == ["rust", "2.png"]


def test_data_works_without_torch():
    program = "import sys, anomaly_lib.data, anomaly_tools.validate, anomaly_tools.describe"
    done = subprocess.run([sys.executable, "-c", f"{program}; sys.exit('torch' in sys.modules)"], check=False)
    assert done.returncode == 0


def test_uncertain_images_are_read_apart_and_count_in_no_split(tiny_data, tmp_path):
    shutil.copytree(tiny_data / "dots", tmp_path / "dots")
    before = data_hash(load_category(tmp_path, "dots"))
    (tmp_path / "dots/test_uncertain/maybe").mkdir(parents=True)
    (tmp_path / "dots/test/square/000.png").rename(tmp_path / "dots/test_uncertain/maybe/000.png")
    (tmp_path / "dots/ground_truth/square/000_mask.png").unlink()
    found = load_category(tmp_path, "dots")
    assert [(sample.split, sample.defect, sample.path.name) for sample in found.uncertain] == [
        ("test_uncertain", "maybe", "000.png")
    ]
    assert len(found.test) == 7
    assert found.defect_types == ("square",)
    assert validate(tmp_path) == []
    assert data_hash(found) != before
    shutil.copy(tmp_path / "dots/train/good/000.png", tmp_path / "dots/test_uncertain/maybe/001.png")
    assert data_hash(load_category(tmp_path, "dots")) != data_hash(found)
    assert "same pixels as the anomalous test image" in str(validate(tmp_path)[0])
