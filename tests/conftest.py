"""Shared pieces: where real data lies, small networks, small data sets in publishers' layouts."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.io import savemat

from minipose import StackedHourglass
from minipose.data import Puppets

# `make test` runs a test process per core, each with one thread, unless OMP_NUM_THREADS says otherwise.
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))
cv2.setNumThreads(1)

# OpenCV 4 warps from the nearest 1/32 px, OpenCV 5 from the place itself: pixels differ by the grey levels
# that lie between the two, and what is computed from them by more.
EXACT_WARP = int(cv2.__version__.split(".")[0]) >= 5

REAL = Path(os.environ.get("MINIPOSE_DATA", "") or "/nonexistent")


def real_data(name: str) -> Path:
    """A folder of real data, or a skip that says why."""
    if not (REAL / name).is_dir():
        pytest.skip(
            f"no real data: set MINIPOSE_DATA to a folder with {name}/ (book/data.md says where from)"
        )
    return REAL / name


@pytest.fixture(scope="session")
def sample_book(tmp_path_factory, worker_id) -> Path:
    """The pages of tests/sample, which uses every piece that a chapter may use; built by one process."""
    from books import build_sample, built  # Sphinx and its friends: not for those who run another test
    from filelock import FileLock

    built()  # what the pages load is fetched by then
    shared = tmp_path_factory.getbasetemp()
    folder = (shared if worker_id == "master" else shared.parent) / "sample"
    with FileLock(folder.with_suffix(".lock")):
        return folder / "_build" / "html" if folder.exists() else build_sample(folder)


@pytest.fixture
def small_network() -> StackedHourglass:
    torch.manual_seed(0)
    return StackedHourglass(joints=16, stacks=2, features=16, depth=2)


@pytest.fixture
def puppets() -> Puppets:
    return Puppets(12, seed=3, size=64)


def write_leeds(root: Path, people: int, layout: str = "lspet", seed: int = 0) -> np.ndarray:
    """A folder in the publisher's layout, with photos of noise; returns the joints as written."""
    random = np.random.default_rng(seed)
    keypoints = random.uniform(10, 90, (people, 14, 2)).round(2)
    third = (random.random((people, 14, 1)) < 0.8).astype(float)
    third[:, :2] = 1
    joints = np.concatenate([keypoints, third], axis=2)  # (N, 14, 3)
    joints[layout == "lspet" and third[..., 0] == 0, :2] = -7.0  # rubbish, as in the real file
    stored = joints.transpose(1, 2, 0) if layout == "lspet" else joints.transpose(2, 1, 0)
    (root / "images").mkdir(parents=True, exist_ok=True)
    savemat(root / "joints.mat", {"joints": stored})
    for n in range(1, people + 1):
        digits = 5 if layout == "lspet" else 4
        photo = random.integers(0, 256, (100, 110, 3), np.uint8)
        cv2.imwrite(str(root / "images" / f"im{n:0{digits}d}.jpg"), photo)
    return joints
