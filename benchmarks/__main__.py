"""python -m benchmarks [--quick]: every row of the speed table, printed as it is measured."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

import minipose
from benchmarks import baselines
from minipose.arguments import RECIPES
from minipose.data import Puppets
from minipose.data.puppets import UNSEEN_SEED
from minipose.data.sample import PoseDataset, Sample
from minipose.heatmaps import to_map
from minipose.images import read_photo
from minipose.metrics import pck
from minipose.pipeline import batches


def best(work: Callable[[], object], seconds: float = 2.0) -> float:
    """Seconds of the fastest of several runs: what the work costs when nothing else disturbs it."""
    fastest, end = float("inf"), time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - start)
        if time.perf_counter() > end:
            return fastest


def row(work: str, figure: str, baseline: str, aim: str) -> None:
    print(f"| {work} | {figure} | {baseline} | {aim} |", flush=True)


# Work, network, px of a crop, crops at once, and the aim for the ratio.
NETWORKS: list[tuple[str, Callable[[], minipose.PoseNetwork], int, int, str]] = [
    ("2 stacks", lambda: minipose.StackedHourglass(stacks=2), 256, 4, "<= 0.75x"),
    ("pose machine, 6 stages", minipose.ConvolutionalPoseMachine, 368, 1, "<= 1.1x"),
    ("pose machine, small", minipose.ConvolutionalPoseMachine.small, 96, 16, "<= 1.1x"),
    ("part heatmaps, ResNet-152", minipose.PartHeatmapRegression, 256, 1, "<= 1.1x"),
    ("part heatmaps, small", lambda: minipose.PartHeatmapRegression(backbone="small"), 96, 16, "<= 1.1x"),
]


def forward() -> None:
    for name, make, size, batch, aim in NETWORKS:
        images, network = torch.rand(batch, 3, size, size), make().eval()
        with torch.inference_mode():
            network(images)
            plain = best(lambda n=network, x=images: n(x), 4)
            network.to(memory_format=torch.channels_last)
            images = images.to(memory_format=torch.channels_last)
            network(images)
            ours = best(lambda n=network, x=images: n(x), 4)
        row(
            f"forward, {name}, {size} px, batch {batch}",
            f"{ours * 1e3:.0f} ms = {ours / plain:.2f}x",
            f"without channels_last {plain * 1e3:.0f} ms",
            aim,
        )


def encode() -> None:
    for batch, aim in ((1, 80), (32, 30)):
        keypoints, visible = 64 * torch.rand(batch, 16, 2), torch.ones(batch, 16)
        ours = best(lambda k=keypoints, v=visible: minipose.encode_heatmaps(k, v)) / batch
        one = keypoints[0].numpy()
        plain = best(lambda one=one: baselines.encode(one))
        row(
            f"encode 16 maps of 64x64, a sample of {batch}",
            f"{ours * 1e6:.0f} us = {ours / plain:.3f}x",
            f"map by map {plain * 1e6:.0f} us",
            f"<= {aim} us",
        )


def decode() -> None:
    maps = minipose.encode_heatmaps(64 * torch.rand(3000, 16, 2), torch.ones(3000, 16))
    plain = best(lambda: baselines.decode(maps[:200].numpy())) * 15
    for refine, aim in (("quarter", 0.15), ("parabola", 0.25)):
        ours = best(lambda r=refine: minipose.decode_heatmaps(maps, r))
        row(
            f"decode 3000x16 maps, {refine}",
            f"{ours:.3f} s = {ours / plain:.3f}x",
            f"map by map, quarter, {plain:.2f} s",
            f"<= {aim} s",
        )


def measure() -> None:
    target = 100 * np.random.default_rng(0).random((3000, 16, 2))
    predicted, normalizer = target + 5, np.full(3000, 10.0)
    ours = best(lambda: pck(predicted, target, normalizer))
    plain = best(lambda: baselines.pck(predicted, target, normalizer))
    row(
        "pck, 3000x16",
        f"{ours * 1e3:.2f} ms = {ours / plain:.4f}x",
        f"joint by joint {plain * 1e3:.0f} ms",
        "<= 5 ms",
    )


class Photos(PoseDataset):
    """One 1280x720 photo over and over, read from its file each time, or decoded once."""

    skeleton, has_occlusion = minipose.MPII, True

    def __init__(self, path: Path, decoded: bool):
        scene = Puppets(1, 4, size=480)[0]
        self.scene, self.path, self.photo = scene, path, read_photo(path) if decoded else None

    def __len__(self) -> int:
        return 128

    def __getitem__(self, number: int) -> Sample:
        read = (lambda: read_photo(self.path)) if self.photo is None else (lambda: self.photo)
        s = self.scene
        return Sample(s.keypoints, s.visibility, s.crop, s.sizes, s.others, str(number), read)


def loader() -> None:
    scene = Puppets(1, 4, size=480)[0]  # 720 x 720
    photo = np.random.default_rng(0).integers(60, 190, (720, 1280, 3), np.uint8)
    photo = cv2.GaussianBlur(photo, (0, 0), 1.5)
    photo[:, :720] = scene.image
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        cv2.imwrite(str(path), photo[..., ::-1])
        jpeg, center = path.read_bytes(), tuple(float(v) for v in scene.crop.center)
        plain = best(lambda: baselines.load(jpeg, center, scene.crop.side, scene.keypoints), 3)
        decoding = best(lambda: read_photo(path))
        for decoded, aim in ((False, 180), (True, 600)):
            dataset = Photos(path, decoded)

            def samples(dataset=dataset):
                for crops in batches(dataset, list(range(len(dataset))), 256, 16, "code"):
                    images = crops.images.float().div_(255)
                    minipose.encode_heatmaps(to_map(crops.keypoints, 4), crops.visibility)
                assert images.shape == (16, 3, 256, 256)

            rate = len(dataset) / best(samples, 4)
            row(
                f"loader, 1280x720 JPEG -> 256 px + 16 maps, {'without' if decoded else 'with'} decoding",
                f"{rate:.0f} /s = {rate * plain:.1f}x",
                f"Pillow with decoding {1 / plain:.0f} /s; decoding alone {decoding * 1e3:.1f} ms",
                f">= {aim} /s",
            )


def scenes() -> None:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    numbers = iter(range(10**9))
    dataset = Puppets(10**9, 5, 128)

    def hundred():
        for _ in range(100):
            sample = dataset[next(numbers)]
            sample.crop.image(sample.image, 128)

    rate = 100 / best(hundred, 4)
    cv2.setNumThreads(threads)
    row("puppets, scenes and crops of 128 px, one core", f"{rate:.0f} /s", "-", ">= 300 /s")


def importing() -> None:
    def seconds(code: str) -> float:
        return best(lambda: subprocess.run([sys.executable, "-c", code], check=True), 8)

    torch_alone, both = seconds("import torch"), seconds("import torch, minipose")
    row(
        "import minipose, beyond import torch",
        f"{both - torch_alone:.2f} s",
        f"torch {torch_alone:.2f} s",
        "<= 0.5 s",
    )


def training() -> None:
    """The command of the README, its own progress on stderr, as a user sees it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "minipose", "train", "--data", "puppets", "--out", f"{folder}/run"]
        start = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - start
    recipe = RECIPES["puppets"]
    untrained = minipose.StackedHourglass(stacks=recipe["stacks"], features=recipe["features"], depth=2)
    found = minipose.evaluate(untrained, Puppets(500, UNSEEN_SEED, recipe["size"]), recipe["size"])
    chance = found.summary("head", 0.5)["mean_over_joints"]
    figure = next(line for line in done.stdout.splitlines() if line.startswith("PCKh"))
    row(
        "puppets from nothing",
        f"{figure}; {seconds:.0f} s in all",
        f"untrained {chance:.3f}",
        ">= 0.85 in 240 s",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out the training run of some minutes")
    options = parser.parse_args()
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, OpenCV {cv2.__version__}"
    print(f"{platform.machine()}, {os.cpu_count()} cores, {versions}, {torch.get_num_threads()} threads\n")
    print("| work | ours | baseline in the same run | aim |\n|---|---|---|---|", flush=True)
    for benchmark in (forward, encode, decode, measure, loader, scenes, importing):
        benchmark()
    if not options.quick:
        training()


if __name__ == "__main__":
    main()
