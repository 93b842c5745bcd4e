"""Data sets whose terms let anyone fetch them: pooch downloads and checks them, zipfile unpacks them."""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from minipose.io.errors import InputError

TIMEOUT = 60.0  # seconds without a byte before the connection counts as broken


@dataclass(frozen=True)
class Archive:
    """A zip archive to fetch: its `member`, a file or a whole folder/, becomes `target`."""

    url: str
    sha256: str
    member: str
    target: str


# COCO's server has no https for its name, so only the checksum vouches for what arrives. MPII's terms
# would allow a download, but nobody publishes a checksum of its annotations.
ARCHIVES = {
    "coco": (
        Archive(
            "http://images.cocodataset.org/annotations/annotations_trainval2017.zip",
            "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
            "annotations/person_keypoints_val2017.json",
            "person_keypoints.json",
        ),
        Archive(
            "http://images.cocodataset.org/zips/val2017.zip",
            "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
            "val2017/",
            "images",
        ),
    ),
}


def fetch(name: str, folder: str | Path, progress: bool = True) -> list[Path]:
    """Fetch a data set of ARCHIVES into `folder`, laid out as its guide says; returns the paths.

    A target that already exists is kept, since it appears whole or not at all. A zip archive is removed
    once it is unpacked. Raises `InputError` as `download` and `unpack` do.
    """
    targets = []
    for archive in ARCHIVES[name]:
        target = Path(folder) / archive.target
        if not target.exists():
            zipped = target.with_name(archive.url.rpartition("/")[2])
            unpack(download(archive.url, zipped, archive.sha256, progress), archive.member, target)
            zipped.unlink()
        targets.append(target)
    return targets


def download(url: str, path: str | Path, sha256: str, progress: bool = True) -> Path:
    """Fetch `url` into the file `path` and return it; a file that exists and has the checksum is kept.

    `sha256` is the checksum of the whole file in hexadecimal. A download that fails leaves nothing behind.
    Raises `InputError` where the server cannot be reached or answers with an error, the connection breaks
    off, the disk is full, or the checksum differs.
    """
    import pooch
    from requests.exceptions import RequestException

    path = Path(path)
    if not url.startswith(("http://", "https://")):
        raise InputError(url, "download", "an address that begins with http:// or https://")
    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(progressbar=progress, chunk_size=1 << 20, timeout=TIMEOUT)
    try:
        pooch.retrieve(url, f"sha256:{sha256.lower()}", path.name, path.parent, downloader=downloader)
    except RequestException as error:  # an OSError too
        raise InputError(url, "download", "the whole file from the server", error) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(path, "download", "a folder with room and permission to write", reason) from error
    except ValueError as error:
        raise InputError(url, "SHA-256", f"{sha256.lower()} (nothing was kept)", error) from error
    return path


def unpack(archive: str | Path, member: str, target: str | Path) -> None:
    """Extract `member` of a zip archive, a file or a folder (with / at its end), to `target`.

    Everything is extracted beside the target as .NAME.partial first, so that the target appears whole or
    not at all. Raises `InputError` where the member is missing, the archive is damaged or the disk is full.
    """
    archive, target = Path(archive), Path(target)
    partial = target.with_name(f".{target.name}.partial")
    try:
        if partial.is_dir():
            shutil.rmtree(partial)  # left by an attempt that was killed
        with zipfile.ZipFile(archive) as zipped:
            names = [name for name in zipped.namelist() if name.startswith(member)]
            if not any(name == member or not name.endswith("/") for name in names):
                raise InputError(archive, member, "a file or folder of this name in the archive")
            zipped.extractall(partial, names)  # drops whatever would lead out of the folder
        os.replace(partial / member, target)
        shutil.rmtree(partial)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, UnicodeError) as error:
        raise InputError(archive, "archive", "a whole zip archive without a password", error) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(target, "unpacking", "a folder with room and permission to write", reason) from error
