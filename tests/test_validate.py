"""Everything wrong with a data folder is found, named, and given a remedy."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly_lib.data import images as images_module
from anomaly_tools.validate import validate, validate_category


def picture(seed: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def square(size: int = 8) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask[2:5, 2:5] = 255
    return mask


def save(pixels: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def nut(tmp_path) -> Path:
    """A flawless category: three train images, two good ones, two of rust and one chip with masks."""
    folder = tmp_path / "data" / "nut"
    files = [f"train/good/{index}.png" for index in range(3)] + ["test/good/0.png", "test/good/1.png"]
    files += ["test/rust/0.png", "test/rust/1.png", "test/chip/0.png"]
    for seed, name in enumerate(files):
        save(picture(seed), folder / name)
    for name in ("rust/0_mask.png", "rust/1_mask.png", "chip/0.png"):
        save(square(), folder / "ground_truth" / name)
    return folder


def lines(nut: Path) -> list[str]:
    """The problems of the category as text, with paths relative to it; each is one line with a remedy."""
    problems = validate_category(nut.parent, nut.name)
    assert all(problem.remedy and len(str(problem).splitlines()) == 1 for problem in problems)
    return [str(problem).replace(f"{nut}/", "") for problem in problems]


def test_a_flawless_category_has_no_problem(nut):
    assert lines(nut) == []
    assert validate(nut.parent) == []


# --- structure


def test_what_loading_refuses_is_found_with_the_rest(nut):
    save(picture(90), nut / "train/dent/0.png")
    (nut / "test/rust/0.png").write_bytes(b"")
    first, second = lines(nut)
    assert first.startswith("train/dent: only normal images may be in train; move its images to test/dent")
    assert second.startswith("test/rust/0.png: is empty (0 bytes)")


def test_a_missing_category_is_a_problem(nut):
    assert "did you mean 'nut'?" in str(validate_category(nut.parent, "nuts")[0])


def test_a_missing_test_folder_is_noted(nut):
    for name in ("test", "ground_truth"):
        (nut / name).rename(nut / f".{name}")
    assert lines(nut) == ["test: has no image; to evaluate, put images into test/good and test/<defect type>"]


def test_a_test_without_good_images_is_noted(nut):
    (nut / "test/good").rename(nut / ".good")
    assert lines(nut) == ["test/good: has no image; put normal images there: evaluation needs both"]


def test_a_test_without_anomalous_images_is_noted(nut):
    for name in ("test/rust", "test/chip", "ground_truth"):
        (nut / name).rename(nut / f".{Path(name).name}")
    assert lines(nut) == ["test: has no anomalous image; put some into test/<defect type>: evaluation needs both"]


def test_an_empty_defect_folder_is_noted(nut):
    (nut / "test/dent").mkdir()
    assert lines(nut) == ["test/dent: has no image; put images of this defect type there or remove the folder"]


@pytest.mark.parametrize("place", ["train", "test", "ground_truth"])
def test_an_image_beside_the_folders_is_noted(nut, place):
    save(picture(90), nut / place / "9.png")
    (line,) = lines(nut)
    assert line.startswith(f"{place}/9.png: lies where only folders are read; move it to {place}/")


@pytest.mark.parametrize("place", ["train/good", "test/good", "test/rust", "ground_truth/rust"])
def test_a_folder_among_the_images_is_noted(nut, place):
    save(picture(90), nut / place / "more" / "0.png")
    assert lines(nut) == [f"{place}/more: is a folder where only images are read; move its images one folder up"]


@pytest.mark.parametrize("place", ["train/good", "test/good", "test/rust", "ground_truth/rust"])
def test_two_files_of_one_name_are_ambiguous(nut, place):
    stem = "0_mask" if place.startswith("ground") else "0"
    pixels = square() if place.startswith("ground") else picture(90)
    save(pixels, nut / place / f"{stem}.bmp")
    (line,) = lines(nut)
    expected = f"has the name of {stem}.bmp but for the extension; rename or remove one: image and mask"
    assert line.startswith(f"{place}/{stem}.png: {expected}")


# --- images and masks belong together


def test_a_mask_without_image_is_named(nut):
    save(square(), nut / "ground_truth/rust/7_mask.png")
    assert lines(nut) == [
        "ground_truth/rust/7_mask.png: is a mask without image; put its image into test/rust or remove it"
    ]


def test_masks_of_an_unknown_defect_type_are_named(nut):
    save(square(), nut / "ground_truth/dent/0_mask.png")
    (line,) = lines(nut)
    assert line.startswith("ground_truth/dent/0_mask.png: is a mask without image")


def test_an_image_without_mask_is_named(nut):
    (nut / "ground_truth/rust/1_mask.png").unlink()
    assert lines(nut) == [
        "test/rust/1.png: has no mask, though others of its defect type have one; "
        "put it at ground_truth/rust/1_mask.png"
    ]


@pytest.mark.parametrize("removed", ["ground_truth", "ground_truth/rust"])
def test_masks_are_optional_for_all_or_for_one_defect_type(nut, removed):
    (nut / removed).rename(nut / ".away")
    assert lines(nut) == []


def test_an_empty_mask_folder_is_like_none(nut):
    for mask in (nut / "ground_truth/rust").iterdir():
        mask.unlink()
    assert lines(nut) == []


def test_a_second_mask_is_named(nut):
    save(square(), nut / "ground_truth/rust/0.png")
    assert lines(nut) == ["ground_truth/rust/0.png: is a second mask of 0.png; remove one of the two"]


@pytest.mark.parametrize(("height", "width"), [(10, 9), (16, 4)], ids=["other area", "same area"])
def test_a_mask_of_another_size_is_named(nut, height, width):
    save(np.full((height, width), 255, np.uint8), nut / "ground_truth/rust/0_mask.png")
    message = f"is a mask of {width} x {height} pixels, its image 8 x 8; make both the same size"
    assert lines(nut) == [f"ground_truth/rust/0_mask.png: {message}"]


def test_an_empty_mask_is_named(nut):
    save(square() * 0, nut / "ground_truth/rust/0_mask.png")
    assert lines(nut) == [
        "ground_truth/rust/0_mask.png: is an empty mask; mark the defect or move the image to test/good"
    ]


def test_a_jpeg_mask_is_named_for_its_noise(nut):
    (nut / "ground_truth/rust/0_mask.png").unlink()
    save(square(), nut / "ground_truth/rust/0_mask.jpg")
    (line,) = lines(nut)
    assert line.startswith("ground_truth/rust/0_mask.jpg: is a mask in JPEG, whose noise")


def test_the_mask_of_a_good_image_may_be_there_if_it_is_empty(nut):
    save(square() * 0, nut / "ground_truth/good/0_mask.png")
    assert lines(nut) == []


def test_a_defect_in_the_mask_of_a_good_image_is_named(nut):
    save(square(), nut / "ground_truth/good/0_mask.png")
    (line,) = lines(nut)
    assert line.startswith("ground_truth/good/0_mask.png: marks a defect in a good image; move the image")


# --- unreadable files

PLACES = pytest.mark.parametrize(
    "name", ["train/good/1.png", "test/good/1.png", "test/rust/1.png", "ground_truth/rust/1_mask.png"]
)


@PLACES
def test_a_zero_byte_file_is_named(nut, name):
    (nut / name).write_bytes(b"")
    assert lines(nut) == [f"{name}: is empty (0 bytes); copy it again from its source or remove it"]


@PLACES
def test_a_truncated_file_is_named(nut, name):
    (nut / name).write_bytes((nut / name).read_bytes()[:50])
    assert lines(nut) == [f"{name}: is truncated or damaged; copy it again from its source or remove it"]


@PLACES
def test_a_file_that_is_no_image_is_named(nut, name):
    (nut / name).write_text("hello" * 20)
    assert lines(nut) == [f"{name}: is not an image that can be read; convert it to PNG or remove it"]


@PLACES
def test_a_bomb_is_named(nut, name, monkeypatch):
    monkeypatch.setattr(images_module, "MAX_PIXELS", 8 * 8)
    save(square(9) if "mask" in name else picture(90, 9), nut / name)
    assert lines(nut) == [f"{name}: has more than 64 pixels; scale it down or cut it into tiles"]


@PLACES
def test_a_link_that_leaves_the_data_folder_is_named_once(nut, name):
    outside = nut.parent.parent / "outside.png"
    (nut / name).rename(outside)
    (nut / name).symlink_to(outside)
    line = lines(nut)[0]
    assert line.startswith(f"{name}: is a link that leaves the data folder; put a copy")
    assert sum("leaves" in line for line in lines(nut)) == 1


def test_every_bad_file_is_found_in_one_go(nut):
    for name in ("train/good/0.png", "train/good/2.png", "test/good/0.png", "ground_truth/chip/0.png"):
        (nut / name).write_bytes(b"")
    assert len(lines(nut)) == 4


# --- leaks from test to train


@pytest.mark.parametrize(("source", "kind"), [("test/good/1.png", "good"), ("test/rust/1.png", "anomalous")])
@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_a_train_image_with_the_pixels_of_a_test_image_is_named(nut, source, kind, suffix):
    copy = f"train/good/copy.{suffix}"
    with Image.open(nut / source) as image:
        image.save(nut / copy)
    assert lines(nut) == [f"{copy}: has the same pixels as the {kind} test image {source}; remove one of the two"]


def test_every_pair_of_a_leak_is_named(nut):
    for name in ("train/good/a.png", "train/good/b.png", "test/good/c.png"):
        save(picture(99), nut / name)
    assert len(lines(nut)) == 2


def test_equal_bytes_in_another_shape_are_no_leak(nut):
    save(np.full((4, 6, 3), 7, np.uint8), nut / "train/good/wide.png")
    save(np.full((6, 4, 3), 7, np.uint8), nut / "test/good/tall.png")
    assert lines(nut) == []


def test_unreadable_files_do_not_match_each_other(nut):
    for name in ("train/good/0.png", "test/good/0.png"):
        (nut / name).write_bytes(b"")
    assert not any("same pixels" in line for line in lines(nut))


# --- the whole folder


def test_all_categories_are_validated_by_default(nut):
    for seed in (50, 51):
        save(picture(seed), nut.parent / f"wood/train/good/{seed}.png")
    (nut / "train/good/0.png").write_bytes(b"")
    assert [problem.path for problem in validate(nut.parent)] == [
        nut / "train/good/0.png",
        nut.parent / "wood/test",
    ]
    assert [problem.path for problem in validate(nut.parent, ["wood"])] == [nut.parent / "wood/test"]


def test_a_data_folder_without_category_is_a_problem(tmp_path):
    (problem,) = validate(tmp_path)
    assert str(problem) == f"{tmp_path}: has no category; a category is a folder that holds train/good"


def test_the_folder_above_the_data_folder_is_led_to_it(nut):
    (problem,) = validate(nut.parent.parent)
    assert problem.remedy == f"give {nut.parent}, which has some"


def test_a_missing_data_folder_is_a_problem(tmp_path):
    assert "no such data folder" in str(validate(tmp_path / "gone")[0])


def test_odd_names_neither_crash_nor_break_the_line(nut):
    odd = os.fsdecode(b"\xff\n")
    save(picture(70), nut / f"test/{odd}/0.png")
    save(square() * 0, nut / f"ground_truth/{odd}/0_mask.png")
    (nut / f"train/good/{odd}.png").touch()
    assert len(lines(nut)) == 2
    "".join(lines(nut)).encode("utf-8")


def test_progress_is_shown_on_request_only(nut, capsys):
    validate(nut.parent)
    assert capsys.readouterr().err == ""
    validate(nut.parent, progress=True)
    assert "nut" in capsys.readouterr().err


# --- what makes evaluation wrong without looking wrong


def test_one_image_cannot_be_good_and_have_a_defect(nut):
    with Image.open(nut / "test/rust/1.png") as image:
        image.save(nut / "test/good/copy.bmp")
    assert lines(nut) == [
        "test/rust/1.png: has the same pixels as the good test image test/good/copy.bmp; "
        "remove the wrong one of the two: an image is either good or has a defect"
    ]


def test_a_single_training_image_is_too_few(nut):
    for name in ("1", "2"):
        (nut / f"train/good/{name}.png").unlink()
    assert lines(nut) == [
        "train/good/0.png: is the only normal training image; add more: one is held out to set thresholds"
    ]


@pytest.mark.parametrize(("marked", "said"), [(58, True), (57, False)])  # 90 % of 64 pixels are 57.6
def test_a_mask_that_covers_nearly_everything_is_taken_for_an_inverted_one(nut, marked, said):
    mask = np.zeros(64, np.uint8)
    mask[:marked] = 255
    save(mask.reshape(8, 8), nut / "ground_truth/rust/0_mask.png")
    line = "ground_truth/rust/0_mask.png: marks 91% of the image, as inverted masks do; "
    assert lines(nut) == ([f"{line}invert it: 0 is normal, any other value is defect"] if said else [])


def test_a_mask_with_nan_is_named(nut):
    (nut / "ground_truth/rust/0_mask.png").unlink()
    mask = square().astype(np.float32)
    mask[0, 0] = np.nan
    save(mask, nut / "ground_truth/rust/0_mask.tiff")
    assert lines(nut) == [
        "ground_truth/rust/0_mask.tiff: is a mask with pixels that are not a number (NaN); "
        "save 0 for normal pixels and another value for defects"
    ]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("width", "height"), [(8, 8), (12, 8)])
def test_a_mask_that_exif_does_not_turn_with_its_photo_is_named(nut, orientation, width, height):
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8))
    photo.save(nut / "test/rust/0.png", exif=exif)
    mask = np.zeros((height, width), np.uint8)
    mask[1:3, 1:5] = 255
    place = nut / "ground_truth/rust/0_mask.png"
    Image.fromarray(mask).save(place)
    found = lines(nut)
    assert len(found) == (orientation != 1)
    assert all("0_mask.png: is not turned, but EXIF turns its photo" in line for line in found)
    Image.fromarray(mask).save(place, exif=exif)  # turned like its photo
    assert lines(nut) == []


def test_a_mask_of_the_upright_photos_own_size_fits(nut):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(9)[:, :6]).save(nut / "test/rust/0.png", exif=exif)  # upright 8 wide, 6 high
    save(square()[:6], nut / "ground_truth/rust/0_mask.png")
    assert lines(nut) == []


@pytest.mark.parametrize("name", ["my part", "x$(touch evil)", "-v", "con", "a|b"])
def test_the_name_of_a_category_follows_the_one_rule(nut, name):
    nut.rename(nut.parent / name)
    (problem,) = validate(nut.parent)
    assert problem.path == nut.parent / name
    assert problem.remedy.startswith("rename the folder")


@pytest.mark.parametrize("name", ["train/good/9.png", "test/good/9.png", "test/rust/9.png", "ground_truth/rust/9.png"])
def test_a_pipe_among_the_images_is_named_and_not_waited_for(nut, name):
    os.mkfifo(nut / name)
    assert lines(nut) == [f"{name}: is not a regular file; remove it"]
