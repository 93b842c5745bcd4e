"""The one reader of photos."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from minipose.io.errors import InputError

try:
    import cv2
except ImportError as error:  # opencv-python needs a graphics library that servers lack
    raise ImportError(
        f"OpenCV could not be loaded ({error}). On a server without a screen install the system "
        "package libgl1 (apt-get install libgl1), or use the Python package opencv-python-headless."
    ) from error


# The largest cameras of phones have fewer. OpenCV and its decoders take up to 9 bytes a pixel, so that no
# photo, however small its file, takes more than a GiB.
MOST_PIXELS = 110_000_000
# What both OpenCV and Pillow read. JPEG includes MPO, a phone's JPEG with further pictures behind the first.
# JPEG 2000 is not among them: a damaged one crashed the decoder of OpenCV 4.11.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")


def read_photo(path: str | Path, size: tuple[int, int] | None = None, rescale: bool = False) -> np.ndarray:
    """Photo file -> (H, W, 3) uint8 RGB, turned as its EXIF data says.

    size : the (width, height) at which it was labelled. With `rescale`, a photo that has been made larger or
    smaller since, by one factor both ways, gets that size again.

    Raises `InputError` where the file is missing, is no photo, ends too early, has more than
    110 million pixels, or is not of its `size`.
    """
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(path, "photo", "a readable file", reason) from error
    photo = decode_photo(data, path, "photo")
    height, width = photo.shape[:2]
    if size is None or size == (width, height):
        return photo
    if rescale and width * size[1] == height * size[0] and size[0] * size[1] <= MOST_PIXELS:
        return cv2.resize(photo, size, interpolation=cv2.INTER_AREA if size[0] < width else cv2.INTER_LINEAR)
    expected = f"{size[0]} x {size[1]} px, the size at which it was labelled"
    raise InputError(path, "width x height", expected, f"{width} x {height} (resized or turned since?)")


def decode_photo(data: bytes, path: str | Path, field: str) -> np.ndarray:
    """A photo's bytes -> what `read_photo` returns; `path` and `field` say in errors where they stood."""
    orientation = _refuse_bombs(data, path, field)
    # OpenCV turns TIFF in any case, WebP from 4.13 on, and JPEG and PNG where it is not told to leave that.
    stored = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        photo = cv2.imdecode(np.frombuffer(data, np.uint8), stored)
    except cv2.error as error:
        raise InputError(path, field, "a whole picture", f"a damaged one ({error.err})") from error
    if photo is None:
        # OpenCV 4.11, for one, is built without GIF.
        expected = f"a whole picture of a kind that OpenCV {cv2.__version__} reads"
        raise InputError(path, field, expected, f"{len(data)} bytes that it does not")
    return _turned(photo, orientation)


def _turned(photo: np.ndarray, orientation: int) -> np.ndarray:
    """A photo as its EXIF orientation says, 1 to 8; what is none of these leaves it as it is."""
    if orientation in (5, 6, 7, 8):
        photo = photo.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        photo = photo[::-1]
    if orientation in (2, 3, 6, 7):
        photo = photo[:, ::-1]
    return np.ascontiguousarray(photo)


def _orientation(picture: Image.Image, data: bytes) -> int:
    """The EXIF orientation that OpenCV is to leave to us."""
    if picture.format == "TIFF" or (picture.format == "PNG" and b"eXIf" not in data):
        return 1  # TIFF it turns itself; of a PNG without EXIF Pillow would decode all to look for it
    try:
        return int(picture.getexif().get(0x0112, 1))
    except Exception:  # damaged EXIF data, which says nothing of the picture's
        return 1


def _refuse_bombs(data: bytes, path: str | Path, field: str) -> int:
    """What must be known before OpenCV, which believes every header, decodes; returns the orientation.

    Pillow (which matplotlib brings) reads the header alone. OpenCV 4 fills the missing part of a
    cut-off file with grey, without a word. A whole JPEG or PNG ends with its end mark. Some cameras write
    more behind it, so a missing mark is only a suspicion, and Pillow decides by decoding strictly.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF data, and of pictures that are refused below
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            if picture.width * picture.height > MOST_PIXELS:
                expected = f"a picture of at most {MOST_PIXELS:,} pixels"
                raise InputError(path, field, expected, f"{picture.width} x {picture.height}")
            orientation = _orientation(picture, data)
            if not data.rstrip(b"\0").endswith((b"\xff\xd9", b"IEND\xaeB`\x82")):
                picture.load()
            return orientation
    except InputError:
        raise
    except UnidentifiedImageError as error:
        expected = "a picture (JPEG, PNG, WebP, BMP, TIFF, ...)"
        raise InputError(path, field, expected, f"{len(data)} bytes that are none") from error
    except Exception as error:  # Pillow raises whatever the damage happens to cause
        raise InputError(path, field, "a whole picture", f"a damaged one ({error})") from error
