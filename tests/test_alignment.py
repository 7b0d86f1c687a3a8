"""Alignment: known motions are found, unrelated photos stay, masks and valid areas follow, copies are whole."""

import json

import numpy as np
import pytest
from PIL import Image

from anomaly_lib.base.errors import InputError
from anomaly_lib.cli import main
from anomaly_lib.data.folder import load_category
from anomaly_lib.data.images import read_mask, read_rgb
from anomaly_tools.alignment import (
    Motion,
    align_category,
    estimate_alignment,
    load_valid_areas,
    move_category,
    valid_area,
    warp_image,
    warp_mask,
)
from anomaly_tools.alignment.folder import choose_reference
from anomaly_tools.sample import render

SIDE = 128


def capsule(index=0, defect="good"):
    """A photo of the sample category and its mask, at 128 pixels."""
    image, mask = render("capsule", defect, index)
    small = (Image.fromarray(pixels).resize((SIDE, SIDE)) for pixels in (image, mask.astype(np.uint8) * 255))
    photo, mask = map(np.asarray, small)
    return photo, mask > 127


@pytest.fixture(scope="module")
def photo():
    return capsule()[0]


def gap(a, b):
    """Degrees between two angles."""
    return abs((a - b + 180) % 360 - 180)


@pytest.mark.parametrize("motion", [Motion(12, 5, -7), Motion(-15, -10, 10), Motion(100, 4, 3)])
def test_a_known_motion_is_found_and_taken_back(photo, motion):
    found, wanted = estimate_alignment(warp_image(photo, motion), photo), motion.inverse()
    assert found.accepted
    assert gap(found.angle, wanted.angle) < 1
    assert np.hypot(found.dx - wanted.dx, found.dy - wanted.dy) < 1.5
    assert found.similarity_after > 0.95 > found.similarity_before


def test_another_capsule_is_brought_onto_the_reference_too(photo):
    found = estimate_alignment(warp_image(capsule(1, "crack")[0], Motion(10, 6, 6)), photo)
    assert found.accepted
    assert found.similarity_after > 0.9


def test_a_photo_onto_itself_is_exactly_the_identity(photo):
    found = estimate_alignment(photo, photo)
    assert (found.angle, found.dx, found.dy, found.accepted) == (0, 0, 0, False)
    assert found.similarity_before == pytest.approx(1)
    assert np.array_equal(warp_image(photo, found), photo)


def test_noise_fits_nothing_and_stays_where_it_is():
    rng = np.random.default_rng(0)
    noise, other = rng.integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
    found = estimate_alignment(noise, other)
    assert (found.angle, found.dx, found.dy, found.accepted) == (0, 0, 0, False)
    assert found.similarity_after == found.similarity_before


def test_plain_photos_have_no_similarity_and_no_motion():
    grey = np.full((64, 64, 3), 128, np.uint8)
    found = estimate_alignment(grey, grey)
    assert (found.accepted, found.similarity_before) == (False, 0)


def test_photos_of_two_sizes_are_refused(photo):
    with pytest.raises(InputError, match="one size can be aligned, got 128x100 and 128x128 pixels"):
        estimate_alignment(photo[:100], photo)


def test_the_same_photos_give_the_same_bits(photo):
    moved = warp_image(photo, Motion(8, 3, 3))
    assert estimate_alignment(moved, photo) == estimate_alignment(moved, photo)


def test_a_quarter_turn_and_a_whole_shift_are_exact():
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    assert np.array_equal(warp_image(image, Motion(90)), np.rot90(image))
    shifted = warp_image(image, Motion(0, 2, 1))
    assert np.array_equal(shifted[1:, 2:], image[:-1, :-2])
    assert np.array_equal(shifted[0], shifted[2])  # mirrored at the old border, which is row 1 now


def test_valid_area_is_what_came_from_inside():
    valid = valid_area((10, 12), Motion(0, 3, -2))
    expected = np.zeros((10, 12), dtype=bool)
    expected[:8, 3:] = True
    assert np.array_equal(valid, expected)
    assert valid_area((10, 12), Motion()).all()
    turned = valid_area((65, 65), Motion(45))
    assert turned.mean() == pytest.approx(2 * (np.sqrt(2) - 1), abs=0.02)  # the octagon that both squares share


def test_a_mask_follows_its_photo():
    image, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), bool)
    image[20:30, 12:40] = 255
    mask[20:30, 12:40] = True
    motion = Motion(33, 4, -6)
    assert np.array_equal(warp_mask(mask, motion), warp_image(image, motion)[..., 0] >= 128)


def test_a_motion_and_its_inverse_bring_a_point_back():
    motion = Motion(25, 6, -3)
    mask = np.zeros((65, 65), bool)
    mask[20:28, 30:38] = True
    back = warp_mask(warp_mask(mask, motion), motion.inverse())
    assert np.count_nonzero(back != mask) < 16  # of 64: a rim that two resamplings may take off or add


@pytest.fixture(scope="module")
def category(tmp_path_factory):
    """capsules: three normal photos to train, one normal and one cracked to test, as PNG of 128 pixels."""
    folder = tmp_path_factory.mktemp("alignment") / "capsules"
    for place, index, defect in (
        ("train/good/a.png", 0, "good"),
        ("train/good/b.png", 1, "good"),
        ("train/good/c.png", 2, "good"),
        ("test/good/d.png", 3, "good"),
        ("test/crack/e.png", 1, "crack"),
    ):
        image, mask = capsule(index, defect)
        _save(image, folder / place)
        if defect != "good":
            _save(mask.astype(np.uint8) * 255, folder / "ground_truth/crack/e_mask.png")
    return folder


def _save(pixels, file):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


@pytest.fixture(scope="module")
def moved(category):
    """A moved copy of it."""
    target = category.parent / "moved"
    move_category(category, target, seed=1, progress=False)
    return target


@pytest.fixture(scope="module")
def aligned(moved):
    """An aligned copy of the moved copy, and its summary."""
    target = moved.parent / "aligned"
    return target, align_category(moved, target, progress=False)


def names(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_a_moved_copy_depends_on_the_seed_alone(category, moved, tmp_path):
    move_category(category, tmp_path / "again", seed=1, progress=False)
    move_category(category, tmp_path / "other", seed=2, progress=False)
    photos = [name for name in names(moved) if name.endswith(".png")]
    assert names(moved) == sorted([*names(category), "moves.json"])
    assert all((moved / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in photos)
    assert all((moved / name).read_bytes() != (tmp_path / "other" / name).read_bytes() for name in photos)
    moves = json.loads((moved / "moves.json").read_text())["images"].values()
    assert len(moves) == 5
    assert max(abs(move["angle"]) for move in moves) <= 15
    assert max(abs(move[axis]) for move in moves for axis in ("dx", "dy")) <= 0.08 * SIDE


def test_an_aligned_copy_has_the_same_photos_and_tells_what_it_did(moved, aligned):
    folder, summary = aligned
    photos = [name for name in names(moved) if not name.startswith(("ground_truth", "moves"))]
    extra = ["alignment.json", "reference.png", "ground_truth/crack/e_mask.png", *(f"valid/{name}" for name in photos)]
    assert names(folder) == sorted([*photos, *extra])
    record = json.loads((folder / "alignment.json").read_text())
    assert sorted(record["images"]) == photos
    assert record["reference"].startswith("train/good/")
    assert record["images"][record["reference"]]["accepted"] is False
    assert summary.images == 5
    assert summary.moved == sum(one["accepted"] for one in record["images"].values())
    assert summary.similarity_after > max(0.9, summary.similarity_before)
    assert f"5 images, {summary.moved} moved onto {summary.reference}" in str(summary)


def test_aligned_photos_resemble_the_reference_and_their_masks_lie_on_the_defect(aligned):
    folder, _ = aligned
    found = load_category(folder.parent, folder.name)
    reference = read_rgb(folder / "reference.png")
    assert choose_reference(found.train).name in {"a.png", "b.png", "c.png"}
    for sample in (*found.train, *found.test):
        again = estimate_alignment(read_rgb(sample.path), reference)
        assert not again.accepted
    crack = next(sample for sample in found.test if sample.is_anomalous)
    valid = read_mask(folder / "valid/test/crack/e.png")
    assert read_mask(crack.mask_path).any()
    assert not valid.all()


def test_valid_areas_as_regions(aligned):
    folder, _ = aligned
    samples = load_category(folder.parent, folder.name).test
    areas = load_valid_areas(folder, samples, 64)
    assert areas.shape == (2, 64, 64)
    full = read_mask(folder / "valid/test/crack/e.png")
    wholly = full.reshape(64, 2, 64, 2).all(axis=(1, 3))
    assert np.array_equal(areas[0].numpy(), wholly)
    with pytest.raises(InputError, match="no such file"):
        load_valid_areas(folder / "nowhere", samples, 64)


def test_a_given_reference_is_used(category, tmp_path):
    reference = category / "train/good/b.png"
    align_category(category, tmp_path / "out", reference, progress=False)
    assert np.array_equal(read_rgb(tmp_path / "out/reference.png"), read_rgb(reference))
    assert np.array_equal(read_rgb(tmp_path / "out/train/good/b.png"), read_rgb(reference))


def test_nothing_is_left_of_a_copy_that_fails(category, tmp_path):
    broken = tmp_path / "data" / "broken"
    for name in names(category):
        (broken / name).parent.mkdir(parents=True, exist_ok=True)
        (broken / name).write_bytes((category / name).read_bytes())
    _save(np.zeros((64, 64), np.uint8), broken / "ground_truth/crack/e_mask.png")
    with pytest.raises(InputError, match="another size than its image"):
        move_category(broken, tmp_path / "out" / "moved", progress=False)
    _save(np.zeros((64, 64, 3), np.uint8), broken / "train/good/c.png")
    with pytest.raises(InputError, match=r"c\.png: is 64x64 and not 128x128 pixels"):
        align_category(broken, tmp_path / "out" / "aligned", progress=False)
    assert not any((tmp_path / "out").iterdir())


def test_targets_that_would_do_harm_are_refused(category, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").write_text("")
    for target, words in (
        (tmp_path / "full", "already exists"),
        (category / "aligned", "overlaps its source"),
        (category.parent, "overlaps its source"),
    ):
        with pytest.raises(InputError, match=words):
            move_category(category, target, progress=False)


def test_room_is_checked_first(category, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"may take 0\.00041 GB, more than the 0\.0001 GB"):
        align_category(category, tmp_path / "out", progress=False, max_gigabytes=1e-4)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
    with pytest.raises(InputError, match="GB are free; free some space"):
        align_category(category, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_two_photos_of_one_name_are_refused(category, tmp_path):
    folder = tmp_path / "twice"
    for suffix in ("png", "jpg"):
        _save(capsule()[0], folder / f"train/good/a.{suffix}")
    with pytest.raises(InputError, match=r"would be a\.png in the copy, and so would a\.jpg"):
        move_category(folder, tmp_path / "out", progress=False)


def test_the_commands(category, tmp_path, capsys):
    assert main(["data", "move", str(category), str(tmp_path / "m"), "--seed", "3", "--degrees", "4"]) == 0
    assert "5 images moved, seed 3" in capsys.readouterr().out
    assert main(["data", "align", str(tmp_path / "m"), str(tmp_path / "a")]) == 0
    assert "moved onto train/good/" in capsys.readouterr().out
    for arguments in (
        ["align", str(tmp_path / "m"), str(tmp_path / "a")],
        ["align", str(tmp_path / "nowhere"), str(tmp_path / "b")],
        ["align", str(category), str(tmp_path / "b"), "--reference", str(tmp_path / "no.png")],
        ["align", str(category), str(tmp_path / "b"), "--max-gigabytes", "0"],
        ["move", str(category), str(tmp_path / "b"), "--degrees", "200"],
        ["move", str(category), str(tmp_path / "b"), "--shift", "nan"],
        ["move", str(category), str(tmp_path / "b"), "--seed", "-1"],
    ):
        assert main(["data", *arguments]) == 2
        error = capsys.readouterr().err.strip().splitlines()
        assert error[-1].startswith("error: ")
    assert not (tmp_path / "b").exists()
