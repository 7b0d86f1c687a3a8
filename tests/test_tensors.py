"""Images and masks as tensors of one size."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anomaly_lib.base.errors import InputError
from anomaly_lib.data import Sample
from anomaly_lib.data.tensors import load_images, load_masks


def save(pixels: np.ndarray, path: Path) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def anomalous(mask: np.ndarray | None, folder: Path, name: str = "a") -> Sample:
    mask_path = None if mask is None else save(mask.astype(np.uint8) * 255, folder / f"{name}_mask.png")
    return Sample(folder / f"{name}.png", "test", "rust", mask_path)


# --- images


def test_images_are_stacked_in_order_as_floats_in_0_1(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    paths = [save(image, tmp_path / f"{index}.png") for index, image in enumerate(pixels)]
    images = load_images(paths, 8)
    assert images.shape == (2, 3, 8, 8)
    assert images.dtype == torch.float32
    expected = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    assert torch.equal(images, expected)


def test_samples_and_paths_give_the_same(tmp_path):
    path = save(np.full((4, 4, 3), 51, np.uint8), tmp_path / "a.png")
    images = load_images([Sample(path, "train", "good", None), path, str(path)], 4)
    assert torch.equal(images, torch.full((3, 3, 4, 4), 0.2))


def test_no_image_gives_an_empty_batch():
    assert load_images([], 16).shape == (0, 3, 16, 16)


def test_shrinking_is_antialiased(tmp_path):
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, 3::4] = 252
    image = load_images([save(stripes, tmp_path / "a.png")], 8)[0, 0]
    # A quarter is white; plain bilinear sampling would mix columns 8k + 3 and 8k + 4 to a half.
    assert torch.allclose(image[:, 1:-1], torch.tensor(63 / 255), atol=2 / 255)


def test_the_resize_is_bilinear(tmp_path):
    row = np.zeros((1, 8), np.uint8)
    row[0, 2] = 240
    image = load_images([save(np.repeat(row, 8, axis=0), tmp_path / "a.png")], 4)[0, 0]
    # A triangle over two target pixels: 1/8, 3/8, 3/8, 1/8; at the border 3/7, 3/7, 1/7.
    assert torch.equal(image[0] * 255, torch.tensor([34.0, 90.0, 0.0, 0.0]))


@pytest.mark.parametrize(
    ("resize", "deviation", "scratch"), [("antialiased", 3.3, 95), ("bilinear", 10.0, 160), ("nearest", 20.0, 160)]
)
def test_each_way_of_resizing_keeps_its_share_of_noise_and_scratches(tmp_path, resize, deviation, scratch):
    """1024 to 256 px: noise of deviation 20, and a scratch 3 px wide that is 160 brighter."""
    noise = np.random.default_rng(0).normal(128, 20, (1024, 1024)).round().clip(0, 255).astype(np.uint8)
    image = load_images([save(noise, tmp_path / "noise.png")], 256, resize=resize)[0, 0] * 255
    assert image.std().item() == pytest.approx(deviation, abs=0.15)
    assert image.mean().item() == pytest.approx(128, abs=0.5)
    line = np.zeros((1024, 1024), np.uint8)
    line[:, 512:515] = 160
    image = load_images([save(line, tmp_path / "line.png")], 256, resize=resize)[0, 0] * 255
    assert image.max().item() == pytest.approx(scratch, abs=1.5)


def test_bilinear_without_antialiasing_is_opencvs(tmp_path):
    """Half-pixel centres, the four nearest pixels, the border repeated; enlarged, too."""
    pixels = np.random.default_rng(1).integers(0, 256, (37, 53), dtype=np.uint8)
    for side in (16, 64):
        image = load_images([save(pixels, tmp_path / "a.png")], side, resize="bilinear")[0, 0] * 255
        plain = torch.nn.functional.interpolate(
            torch.from_numpy(pixels)[None, None].float(), (side, side), mode="bilinear", align_corners=False
        )[0, 0]
        assert (image - plain).abs().max() <= 1.01  # of whole numbers, Pillow's cut off


def test_a_long_image_is_squeezed_not_cropped(tmp_path):
    halves = np.zeros((10, 40), np.uint8)
    halves[:, 20:] = 255
    image = load_images([save(halves, tmp_path / "a.png")], 20)[0, 0]
    assert image.shape == (20, 20)
    assert torch.all(image[:, :9] == 0)
    assert torch.all(image[:, 11:] == 1)


def test_a_bad_image_is_named(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match=r"a\.png: is empty"):
        load_images([tmp_path / "a.png"], 8)


# --- masks


def test_a_mask_of_the_right_size_is_returned_as_it_is(tmp_path):
    mask = np.random.default_rng(0).random((8, 8)) < 0.3
    masks = load_masks([anomalous(mask, tmp_path)], 8)
    assert masks.dtype == torch.bool
    np.testing.assert_array_equal(masks[0].numpy(), mask)


@pytest.mark.parametrize(("marked", "expected"), [(7, False), (8, True), (9, True)])
def test_half_an_area_counts_and_less_does_not(tmp_path, marked, expected):
    mask = np.zeros(16, bool)
    mask[:marked] = True
    assert load_masks([anomalous(mask.reshape(4, 4), tmp_path)], 1).item() is expected


def test_a_ratio_that_is_no_whole_number_weighs_parts_of_pixels(tmp_path):
    # Three columns onto two: the middle one belongs half to either side. Marking the left and middle columns
    # covers all of the left target pixel and a third of the right one.
    mask = np.array([[True, True, False]] * 3)
    assert load_masks([anomalous(mask, tmp_path)], 2)[0].tolist() == [[True, False]] * 2
    # The middle column alone covers a third of both.
    mask = np.array([[False, True, False]] * 3)
    assert not load_masks([anomalous(mask, tmp_path, "b")], 2).any()


@pytest.mark.parametrize("shape", [(13, 29), (64, 48), (7, 100)])
def test_the_area_average_equals_brute_force(tmp_path, shape):
    mask = np.random.default_rng(1).random(shape) < 0.5
    # Each source pixel as size x size equal parts makes every target pixel a whole block of parts.
    size = 10
    parts = mask.repeat(size, axis=0).repeat(size, axis=1)
    blocks = parts.reshape(size, shape[0], size, shape[1]).mean(axis=(1, 3))
    np.testing.assert_array_equal(load_masks([anomalous(mask, tmp_path)], size)[0].numpy(), blocks >= 0.5)


def test_a_mask_can_be_enlarged(tmp_path):
    mask = np.array([[True, False], [False, True]])
    enlarged = load_masks([anomalous(mask, tmp_path)], 6)[0].numpy()
    np.testing.assert_array_equal(enlarged, mask.repeat(3, axis=0).repeat(3, axis=1))


def test_good_samples_have_empty_masks(tmp_path):
    good = Sample(tmp_path / "g.png", "test", "good", None)
    masks = load_masks([good, anomalous(np.ones((4, 4), bool), tmp_path)], 4)
    assert masks.flatten(1).sum(1).tolist() == [0, 16]


def test_an_anomalous_sample_without_mask_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a\.png: has no mask; put one at ground_truth/rust/a_mask\.png"):
        load_masks([anomalous(None, tmp_path)], 4)
