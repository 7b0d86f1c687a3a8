"""Decode image files: any supported picture to 8-bit RGB, any mask to booleans.

The rules are fixed, never derived from the content of one image, so that equal pixels stay equal across a
data set:

* grey and palette images become RGB; CMYK, YCbCr and LAB are converted by Pillow;
* alpha is composited over black: what hides under transparent pixels is arbitrary and must not look like a
  defect;
* 16-bit values keep their high byte (``value >> 8``), which is what Pillow does for 16-bit colour. A camera
  that stores 10 or 12 bits in 16 therefore yields dark images: stretch such data by one constant factor
  beforehand;
* EXIF orientation is applied, to masks too; of several frames or pages the first is read;
* an image above ``MAX_PIXELS`` is refused by its header, before any pixel is decoded.

The content decides on the format, not the extension. Whatever is wrong with a file raises ``InputError``.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.names import printable
from anomaly_lib.base.params import Resize

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")

MAX_PIXELS = 178_956_970
"""Most pixels an image may have: Pillow's own default for refusing, above any camera of 150 megapixels."""

# Tried in this order; only plain raster formats, since others (EPS) would start external programs.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {  # EXIF orientation: what turns the stored pixels upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the input; as text a single printable line: path, what is wrong, remedy."""

    path: Path
    message: str
    remedy: str

    def __str__(self) -> str:
        return printable(f"{self.path}: {self.message}; {self.remedy}")


@dataclass(frozen=True)
class Header:
    """What a file says about its image: width and height in pixels as displayed, Pillow's mode and format."""

    width: int
    height: int
    mode: str
    format: str
    orientation: int
    """EXIF's: 1 for pixels that are stored upright, otherwise 2 to 8."""


def is_image_name(path: Path) -> bool:
    """Whether a file name counts as an image: a known extension in any case, and not hidden."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def read_rgb(path: Path | str) -> np.ndarray:
    """Decode an image to (H, W, 3) uint8 by the rules at the head of this module.

    Raises InputError for a file that is missing, empty, damaged, too large, or of float or beyond-16-bit
    pixels.
    """
    with _opened(Path(path)) as image:
        return _rgb_pixels(_upright(image), Path(path))


def read_mask(path: Path | str) -> np.ndarray:
    """Decode a mask to (H, W) bool: True where the shown value is not zero in any channel.

    A palette counts by its colours, not its indices; transparent pixels are normal. Raises InputError as
    ``read_rgb``, except that float pixels are allowed unless they are NaN.
    """
    with _opened(Path(path)) as image:
        image = _upright(image)
        if image.mode in (*_SIXTEEN_BIT, "F"):
            values = np.asarray(image)  # before the high byte is taken: 1 of 65535 is a defect too
            if np.isnan(values).any():
                remedy = "save 0 for normal pixels and another value for defects"
                raise InputError(Problem(Path(path), "is a mask with pixels that are not a number (NaN)", remedy))
            return values.astype(bool)
        return np.asarray(_rgb_pixels(image, Path(path)).any(axis=2))


def read_header(path: Path | str) -> Header:
    """Read size, mode and format of an image without decoding pixels. Raises InputError as ``read_rgb``."""
    with _opened(Path(path)) as image:
        width, height = image.size
        orientation = _orientation(image)
        # Pillow has turned the size of a TIFF already.
        if image.format != "TIFF" and orientation in (5, 6, 7, 8):
            width, height = height, width
        return Header(width, height, image.mode, image.format or "", orientation)


def squeezed(rgb: np.ndarray, image_size: int, resize: Resize = "antialiased") -> np.ndarray:
    """A photo (H, W, 3) uint8 as a method sees it: (3, S, S) float32 in [0, 1].

    ``antialiased`` averages all pixels that a new one covers, ``bilinear`` the four nearest ones (as OpenCV does),
    ``nearest`` takes one: these two keep noise and thin lines. Pillow computes in 8-bit integer arithmetic, so the
    values are the same on every machine.
    """
    photo, side = Image.fromarray(rgb), (image_size, image_size)
    if resize == "bilinear":  # Pillow samples between pixels without antialiasing where it transforms
        scale = (photo.width / image_size, 0, 0, 0, photo.height / image_size, 0)
        small = photo.transform(side, Image.Transform.AFFINE, scale, Image.Resampling.BILINEAR)
    else:
        small = photo.resize(side, Image.Resampling.NEAREST if resize == "nearest" else Image.Resampling.BILINEAR)
    return np.moveaxis(np.asarray(small), -1, 0) / np.float32(255)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image of acceptable size; any failure, also while decoding in the block, is an InputError."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InputError(Problem(path, "is not a regular file", "remove it"))  # a pipe would block its reader
        with warnings.catch_warnings():
            # Pillow warns of size from half its limit on, and of damaged EXIF: neither spoils the pixels.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                yield image
    except (InputError, MemoryError):
        raise
    except Exception as error:  # damaged files raise a dozen types: OSError, SyntaxError, ValueError, struct.error, …
        raise InputError(_why_unreadable(path, error)) from error


def _why_unreadable(path: Path, error: Exception) -> Problem:
    if isinstance(error, Image.DecompressionBombError):
        return Problem(path, f"has more than {MAX_PIXELS:,} pixels", "scale it down or cut it into tiles")
    if isinstance(error, FileNotFoundError):
        return Problem(path, "no such file", "check the path")
    if isinstance(error, PermissionError):
        return Problem(path, "may not be read", "give yourself read permission")
    if path.is_dir():
        return Problem(path, "is a folder, not an image", "name an image file")
    if path.exists() and path.stat().st_size == 0:
        return Problem(path, "is empty (0 bytes)", "copy it again from its source or remove it")
    if isinstance(error, UnidentifiedImageError):
        return Problem(path, "is not an image that can be read", "convert it to PNG or remove it")
    return Problem(path, "is truncated or damaged", "copy it again from its source or remove it")


def _upright(image: Image.Image) -> Image.Image:
    image.load()  # turns a TIFF and removes its tag; the other formats are left to us
    turn = _UPRIGHT.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # SyntaxError and others: damaged EXIF does not make the pixels unreadable
        return 1


def _rgb_pixels(image: Image.Image, path: Path) -> np.ndarray:
    if image.mode in _SIXTEEN_BIT:
        return np.repeat(_high_byte(np.asarray(image), path)[..., None], 3, axis=2)
    if image.mode == "F":
        raise InputError(Problem(path, "has float pixels, which have no fixed range", "save it with 8 or 16 bit"))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    return np.array(image.convert("RGB"))


def _high_byte(values: np.ndarray, path: Path) -> np.ndarray:
    # Mode "I" has 32 bits; some writers and Pillow versions use it for 16-bit data, all that is accepted.
    if values.min() < 0 or values.max() > 0xFFFF:
        raise InputError(Problem(path, "has pixel values beyond 16 bit", "save it with 8 or 16 bit"))
    return (values >> 8).astype(np.uint8)
