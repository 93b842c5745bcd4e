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


def read_photo(path: str | Path) -> np.ndarray:
    """Photo file -> (H, W, 3) uint8 RGB, turned as its EXIF data says.

    Raises `InputError` where the file is missing, is no photo, ends too early, or has more than
    110 million pixels.
    """
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(path, "photo", "a readable file", reason) from error
    return decode_photo(data, path, "photo")


def decode_photo(data: bytes, path: str | Path, field: str) -> np.ndarray:
    """A photo's bytes -> what `read_photo` returns; `path` and `field` say in errors where they stood."""
    _refuse_bombs(data, path, field)
    try:
        photo = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise InputError(path, field, "a whole picture", f"a damaged one ({error.err})") from error
    if photo is None:
        # OpenCV 4.11, for one, is built without GIF.
        expected = f"a whole picture of a kind that OpenCV {cv2.__version__} reads"
        raise InputError(path, field, expected, f"{len(data)} bytes that it does not")
    return photo


def _refuse_bombs(data: bytes, path: str | Path, field: str) -> None:
    """What must be known before OpenCV, which believes every header, decodes.

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
            if not data.rstrip(b"\0").endswith((b"\xff\xd9", b"IEND\xaeB`\x82")):
                picture.load()
    except InputError:
        raise
    except UnidentifiedImageError as error:
        expected = "a picture (JPEG, PNG, WebP, BMP, TIFF, ...)"
        raise InputError(path, field, expected, f"{len(data)} bytes that are none") from error
    except Exception as error:  # Pillow raises whatever the damage happens to cause
        raise InputError(path, field, "a whole picture", f"a damaged one ({error})") from error
