"""Downloads that are whole or not there: resumed where they broke off, checked by their SHA-256.

The standard library does it all; nothing is fetched unless `fetch` or `download` is called.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from tqdm import tqdm

from minipose.data.formats.files import inside
from minipose.io.errors import InputError

BLOCK = 1 << 20  # bytes read at a time
PATIENCE = 60.0  # seconds without a byte before the connection counts as broken


@dataclass(frozen=True)
class Archive:
    """A zip archive to fetch: its `member`, a file or a whole folder/, becomes `target`."""

    url: str
    sha256: str
    member: str
    target: str


# Data sets whose terms let anyone fetch them, and whose checksums are known. COCO's server has no
# https for its name, so that the checksum alone vouches for what arrives. MPII's terms would do,
# but nobody publishes a checksum of its annotations.
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
    """Fetch a data set of ARCHIVES into `folder`, laid out as its guide says; returns what lies there.

    A target that is there is kept: it appeared whole or not at all. A zip archive is removed once it
    is unpacked. Raises `InputError` as `download` and `unpack` do.
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


def unpack(archive: str | Path, member: str, target: str | Path) -> None:
    """Write one file of a zip archive, or all that lies below a folder of it, to `target`.

    `member` is the name in the archive, a folder's with a / at its end. All is written beside the
    target as .NAME.partial, and has its name only when it is whole.

    Raises `InputError`, in one line, where the member is missing or damaged, where a name would lead
    out of the target (then nothing is written), or where the disk is full.
    """
    archive, target = Path(archive), Path(target)
    partial = target.with_name(f".{target.name}.partial")
    try:
        if partial.is_dir():
            shutil.rmtree(partial)  # an earlier attempt's
        with zipfile.ZipFile(archive) as zipped:
            chosen = [
                (info, inside(partial, info.filename.removeprefix(member), archive))
                for info in zipped.infolist()
                if info.filename == member or (member.endswith("/") and info.filename.startswith(member))
            ]
            chosen = [(info, path) for info, path in chosen if not info.is_dir()]
            if not chosen:
                raise InputError(archive, member, "a file or folder of this name in the archive")
            for info, path in chosen:
                path.parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(info) as source, path.open("wb") as copy:
                    shutil.copyfileobj(source, copy, BLOCK)
        os.replace(partial, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, UnicodeError) as error:
        raise InputError(archive, "archive", "a whole zip archive without a password", error) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(target, "unpacking", "a folder with room and permission to write", reason) from error


def download(url: str, path: str | Path, sha256: str, progress: bool = True) -> Path:
    """Fetch `url` into the file `path` and return it; a file that is there and right is kept.

    What has arrived is kept beside it as .NAME.partial until it is whole, so that the next call goes
    on where this one broke off (where the server can; else it starts again). `sha256` is the whole
    file's checksum in hexadecimal.

    Raises `InputError`, in one line, where the server is not reached or answers with an error, where
    the connection breaks off, the disk is full, or the checksum is another: then nothing is kept.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    if not url.startswith(("http://", "https://")):
        raise InputError(url, "download", "an address that begins with http:// or https://")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and _checksum(path) == sha256.lower():
            return path
        _fetch(url, partial, path.name, progress)
        found = _checksum(partial)
        if found != sha256.lower():
            partial.unlink()
            raise InputError(url, "SHA-256", f"{sha256.lower()} (nothing was kept)", found)
        os.replace(partial, path)
    except OSError as error:  # those of the network are InputErrors by now
        reason = error.strerror or str(error)
        raise InputError(path, "download", "a folder with room and permission to write", reason) from error
    return path


def _fetch(url: str, partial: Path, name: str, progress: bool) -> None:
    """Append to `partial` what is missing, or write it anew where the server sends all of it."""
    have = partial.stat().st_size if partial.exists() else 0
    response = _ask(url, have)
    if response is None:
        return
    with response:
        if response.status != 206:
            have = 0
        rest = response.headers["Content-Length"]
        total = have + int(rest) if rest is not None else None
        bar = tqdm(
            total=total, initial=have, desc=name, unit="B", unit_scale=True, unit_divisor=1024,
            disable=not progress,
        )  # fmt: skip
        with bar, partial.open("ab" if have else "wb") as file:
            for block in _blocks(response, url):
                file.write(block)
                bar.update(len(block))
            file.flush()
            os.fsync(file.fileno())
            arrived = file.tell()
    if total is not None and arrived != total:
        raise InputError(url, "download", f"{total} bytes; call again to go on", f"the end after {arrived}")


def _ask(url: str, have: int) -> HTTPResponse | None:
    """The server's answer to a request for all bytes from number `have` on; None: there are none.

    Status 206 promises just these bytes, 200 all from the first.
    """
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing lies behind what we have: the checksum will tell
            return None
        raise InputError(url, "download", "the file", f"HTTP {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(url, "download", "a server that answers (no network?)", reason) from error
    if response.status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        found = response.headers.get("Content-Range")
        response.close()
        raise InputError(url, "Content-Range", f"bytes {have}-, as asked for", found)
    return response


def _blocks(response: HTTPResponse, url: str) -> Iterator[bytes]:
    """The body, block by block; what the network does wrong is an `InputError`."""
    try:
        while block := response.read(BLOCK):
            yield block
    except (OSError, HTTPException) as error:
        raise InputError(
            url, "download", "an unbroken connection; call again to go on", str(error) or type(error).__name__
        ) from error


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
