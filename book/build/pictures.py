"""Draw the README's picture again: python book/build/pictures.py."""

from pathlib import Path

import matplotlib.pyplot as plt

import minipose
from minipose.data import Puppets
from minipose.plots import draw_pose, look_at

SCENES = (1, 14, 7, 15)


def main() -> None:
    network = minipose.load("hg2-puppets-small")
    puppets = Puppets(20, seed=2016, size=320)
    figure, axes = plt.subplots(1, len(SCENES), figsize=(4 * len(SCENES), 4), dpi=75)
    for place, number in zip(axes, SCENES, strict=True):
        sample = puppets[number]
        pose = minipose.predict(network, sample.image, sample.crop)
        draw_pose(sample.image, pose.keypoints, pose.skeleton, axes=place)
        look_at(sample.crop, place, room=0.84)
    figure.subplots_adjust(left=0, right=1, top=1, bottom=0, wspace=0.01)
    figure.savefig(Path(__file__).resolve().parents[1] / "_static" / "puppets.png")


if __name__ == "__main__":
    main()
