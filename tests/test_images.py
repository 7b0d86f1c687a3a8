"""Decoding: every kind of picture has one fixed meaning, every broken file one clear line."""

import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from anomaly_lib.base.errors import InputError
from anomaly_lib.data import images
from anomaly_lib.data.images import Problem, is_image_name, printable, read_header, read_mask, read_rgb

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
READERS = pytest.mark.parametrize("read", [read_rgb, read_mask, read_header])


def save(pixels: np.ndarray | Image.Image, path: Path, **options) -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def write_png(path: Path, width: int, height: int, values: bytes, bit_depth: int, colour_type: int) -> Path:
    """A PNG written by hand: Pillow writes no 16-bit colour, and no header that lies about the size."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(values)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def only_line(excinfo: pytest.ExceptionInfo) -> str:
    line = str(excinfo.value)
    assert "\n" not in line
    return line


# --- what pixels become


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff"])
def test_lossless_colour_is_returned_as_stored(tmp_path, suffix):
    read = read_rgb(save(RGB, tmp_path / f"a.{suffix}"))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, RGB)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg"])
def test_jpeg_is_decoded(tmp_path, suffix):
    assert np.all(read_rgb(save(np.full((8, 8, 3), 90, np.uint8), tmp_path / f"a.{suffix}")) == 90)


def test_the_result_may_be_written_to(tmp_path):
    read = read_rgb(save(RGB, tmp_path / "a.png"))
    read[0, 0] = 1
    assert np.all(read[0, 0] == 1)


def test_grey_is_repeated_over_three_channels(tmp_path):
    read = read_rgb(save(RGB[..., 0], tmp_path / "a.png"))
    np.testing.assert_array_equal(read, np.repeat(RGB[..., :1], 3, axis=2))


def test_palette_becomes_its_colours(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "L").convert("P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    read = read_rgb(save(image, tmp_path / "a.png"))
    assert read[0, 0].tolist() == [10, 20, 30]
    assert read[0, 1].tolist() == [200, 100, 50]


def test_black_and_white_becomes_0_and_255(tmp_path):
    read = read_rgb(save(Image.fromarray(np.array([[True, False]])), tmp_path / "a.png"))
    assert read[0].tolist() == [[255] * 3, [0] * 3]


def test_cmyk_becomes_rgb(tmp_path):
    read = read_rgb(save(Image.new("CMYK", (2, 2), (0, 255, 255, 0)), tmp_path / "a.tif"))
    assert read[0, 0].tolist() == [255, 0, 0]


def test_alpha_is_composited_over_black(tmp_path):
    pixels = np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 128]]], np.uint8)
    read = read_rgb(save(pixels, tmp_path / "a.png"))
    assert read[0, 0].tolist() == [200, 100, 50]
    assert read[0, 1].tolist() == [0, 0, 0]
    np.testing.assert_allclose(read[0, 2], np.array([200, 100, 50]) * 128 / 255, atol=1)


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_a_transparent_colour_of_an_image_without_alpha_becomes_black(tmp_path, mode):
    image = Image.fromarray(np.array([[70, 200]], np.uint8)).convert(mode)
    transparent = (70, 70, 70) if mode == "RGB" else 70
    read = read_rgb(save(image, tmp_path / "a.png", transparency=transparent))
    assert read[0].tolist() == [[0] * 3, [200] * 3]


SIXTEEN = np.array([[0, 255, 256, 511, 0x80FF, 0xFFFF]], np.uint16)
HIGH_BYTES = [0, 0, 1, 1, 128, 255]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_keeps_its_high_byte(tmp_path, suffix):
    path = save(SIXTEEN, tmp_path / f"a.{suffix}")
    assert read_header(path).mode == "I;16"
    assert read_rgb(path)[0, :, 1].tolist() == HIGH_BYTES


def test_big_endian_16_bit_grey_keeps_its_high_byte(tmp_path):
    image = Image.frombytes("I;16B", (6, 1), SIXTEEN.astype(">u2").tobytes())
    path = save(image, tmp_path / "a.tif")
    assert read_header(path).mode == "I;16B"
    assert read_rgb(path)[0, :, 0].tolist() == HIGH_BYTES


def test_32_bit_grey_within_16_bit_is_read_as_16_bit(tmp_path):
    path = save(SIXTEEN.astype(np.int32), tmp_path / "a.tif")
    assert read_header(path).mode == "I"
    assert read_rgb(path)[0, :, 0].tolist() == HIGH_BYTES


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (6, 4)], ids=["rgb", "rgba"])
def test_16_bit_colour_follows_the_same_rule(tmp_path, colour_type, channels):
    values = np.repeat(SIXTEEN[0][:, None], channels, axis=1)
    if channels == 4:
        values[:, 3] = 0xFFFF
    path = write_png(tmp_path / "a.png", 6, 1, b"\0" + values.astype(">u2").tobytes(), 16, colour_type)
    assert read_rgb(path)[0, :, 0].tolist() == HIGH_BYTES


def test_the_16_bit_rule_does_not_depend_on_the_image(tmp_path):
    dark = read_rgb(save(np.full((2, 2), 0x1200, np.uint16), tmp_path / "a.png"))
    mixed = read_rgb(save(np.array([[0x1200, 0xFFFF]], np.uint16), tmp_path / "b.png"))
    assert dark[0, 0, 0] == mixed[0, 0, 0] == 0x12


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(RGB, tmp_path / f"a.{suffix}", exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(read_rgb(path), expected)
    header = read_header(path)
    assert (header.height, header.width) == expected.shape[:2]
    assert expected.shape[:2] == ((5, 7) if orientation < 5 else (7, 5))
    np.testing.assert_array_equal(read_mask(path), expected.any(axis=2))


def test_damaged_exif_does_not_spoil_the_pixels(tmp_path):
    path = save(RGB, tmp_path / "a.png", exif=b"Exif\0\0garbage")
    np.testing.assert_array_equal(read_rgb(path), RGB)
    assert read_header(path).width == 7


def test_an_extension_that_lies_is_no_problem(tmp_path):
    path = save(RGB, tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(read_rgb(path), RGB)


def test_the_first_page_is_read(tmp_path):
    first, second = Image.fromarray(RGB), Image.fromarray(255 - RGB)
    path = save(first, tmp_path / "a.tif", save_all=True, append_images=[second])
    np.testing.assert_array_equal(read_rgb(path), RGB)


# --- masks


@pytest.mark.parametrize("value", [1, 127, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_any_nonzero_value_of_a_mask_is_defect(tmp_path, value, dtype):
    read = read_mask(save(np.array([[0, value]], dtype), tmp_path / "m.tif"))
    assert read.dtype == bool
    assert read.tolist() == [[False, True]]


def test_a_colour_mask_counts_in_any_channel(tmp_path):
    assert read_mask(save(np.array([[[0, 0, 0], [0, 0, 9]]], np.uint8), tmp_path / "m.png")).tolist() == [[False, True]]


def test_an_opaque_alpha_channel_marks_no_defect(tmp_path):
    pixels = np.array([[[0, 0, 0, 255], [255, 255, 255, 255], [255, 255, 255, 0]]], np.uint8)
    assert read_mask(save(pixels, tmp_path / "m.png")).tolist() == [[False, True, False]]


def test_a_palette_mask_counts_by_colour(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([255, 255, 255, 0, 0, 0])  # index 0 is white
    assert read_mask(save(image, tmp_path / "m.png")).tolist() == [[True, False]]


# --- broken files


@READERS
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(InputError, match=r"gone\.png: no such file; check the path") as excinfo:
        read(tmp_path / "gone.png")
    only_line(excinfo)


@READERS
def test_a_zero_byte_file_is_named(tmp_path, read):
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match=r"a\.png: is empty \(0 bytes\); copy it again"):
        read(tmp_path / "a.png")


@READERS
def test_a_file_that_is_no_image_is_named(tmp_path, read):
    (tmp_path / "a.png").write_text("not a picture\n" * 20)
    with pytest.raises(InputError, match=r"a\.png: is not an image that can be read; convert it to PNG"):
        read(tmp_path / "a.png")


@READERS
def test_a_folder_is_named(tmp_path, read):
    with pytest.raises(InputError, match="is a folder, not an image; name an image file"):
        read(tmp_path)


@pytest.mark.parametrize("read", [read_rgb, read_mask])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_a_truncated_file_is_named(tmp_path, suffix, read):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(noise, tmp_path / f"a.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(InputError, match=rf"a\.{suffix}: is truncated or damaged; copy it again") as excinfo:
        read(path)
    only_line(excinfo)


def test_a_postscript_file_in_disguise_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(InputError, match="is not an image that can be read"):
        read_rgb(tmp_path / "a.png")


@pytest.mark.parametrize("pixels", [[[0.5]], [[70000]], [[-1]]], ids=["float", "too large", "negative"])
def test_values_without_a_fixed_scale_are_refused(tmp_path, pixels):
    values = np.array(pixels)
    path = save(values.astype(np.float32 if values.dtype.kind == "f" else np.int32), tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif: has .*; save it with 8 or 16 bit"):
        read_rgb(path)


def test_a_file_without_permission_is_named(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)  # chmod would not stop root
    with pytest.raises(InputError, match=r"a\.png: may not be read; give yourself read permission"):
        read_rgb(tmp_path / "a.png")


# --- decompression bombs


@READERS
def test_a_bomb_is_refused_by_its_header(tmp_path, read, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("pixels were decoded"))
    path = write_png(tmp_path / "a.png", 60_000, 60_000, b"", 8, 2)
    with pytest.raises(InputError, match=r"a\.png: has more than 178,956,970 pixels; scale it down") as excinfo:
        read(path)
    only_line(excinfo)


def test_our_limit_is_pillows_own():
    assert pytest.approx(images.MAX_PIXELS, abs=1) == 2 * Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("pillow_limit", [None, 34, 20, 10], ids=["off", "warns", "warns too", "refuses"])
@pytest.mark.filterwarnings("error")
def test_above_our_limit_counts_whatever_pillow_is_set_to(tmp_path, monkeypatch, pillow_limit):
    path = save(RGB, tmp_path / "a.png")  # 35 pixels
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillow_limit)
    monkeypatch.setattr(images, "MAX_PIXELS", 34)
    with pytest.raises(InputError, match="has more than 34 pixels"):
        read_rgb(path)


def test_a_large_photo_within_the_limit_is_read_without_a_warning(tmp_path, monkeypatch):
    path = save(RGB, tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow warns from 20 pixels on
    monkeypatch.setattr(images, "MAX_PIXELS", 35)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read_rgb(path), RGB)


# --- names


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.b.Jpeg", "x y.bmp", "ü.TIF", "a.tiff"])
def test_image_names(name):
    assert is_image_name(Path(name))


@pytest.mark.parametrize("name", ["Thumbs.db", ".DS_Store", ".gitignore", "._a.png", "a.txt", "png", "a.png.bak"])
def test_other_names(name):
    assert not is_image_name(Path(name))


def test_a_name_that_is_not_utf8_is_read_and_printed(tmp_path):
    path = save(RGB, tmp_path / "a.png").rename(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png")))
    np.testing.assert_array_equal(read_rgb(path), RGB)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="is empty") as excinfo:
        read_rgb(path)
    only_line(excinfo).encode("utf-8")  # a lone surrogate would raise


def test_a_problem_is_one_line_whatever_the_name():
    problem = Problem(Path("a\nb\r\x1b[31m\u2028.png"), "is bad", "mend it")
    assert len(str(problem).splitlines()) == 1
    assert str(problem).isprintable()


def test_ordinary_names_are_printed_as_they_are():
    assert printable("data/nüt/01 (kopie).png") == "data/nüt/01 (kopie).png"
