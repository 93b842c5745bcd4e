"""The report's tables as printed, and reasons why some of it could not be measured."""

from __future__ import annotations

NO_COCO = "COCO's own files were not at hand, only a piece of them that somebody had picked"
NO_TRAINING = "no network was trained on COCO's photographs here"

# Table 1, heavy, medium and light: the largest amount of each change, in the row's unit; 0 for "None".
TABLE_1 = {
    "Blur with probability 30%, sigma": ("", (2.0, 1.5, 1.0)),
    "Sharpening, lightness 1 ±": ("", (0.2, 0.15, 0.0)),
    "Sharpening, blending factor up to": ("", (1.0, 0.5, 0.0)),
    "Hue and saturation ±": (" of 255", (30, 20, 15)),
    "Brightness ±": (" of 255", (30, 25, 20)),
    "Contrast 1 ±": ("", (0.25, 0.15, 0.10)),
    "Pixel dropout, per cent of the pixels": ("", (10, 5, 3)),
    "Gaussian noise, per cent of 255": ("", (5, 3, 1)),
    "Scaling ±": (" per cent", (25, 20, 15)),
    "Rotation ±": (" degrees", (30, 25, 15)),
    "Horizontal flip, probability": ("", (0.5, 0.5, 0.5)),
}

# PCK of epoch 107, four stacks.
TABLE_2 = {
    "nose": 0.8829, "left eye": 0.8842, "right eye": 0.8900, "left ear": 0.8273, "right ear": 0.8320,
    "left shoulder": 0.7289, "right shoulder": 0.7290, "left elbow": 0.7636, "right elbow": 0.7721,
    "left wrist": 0.7517, "right wrist": 0.7544, "left hip": 0.6526, "right hip": 0.6478,
    "left knee": 0.8014, "right knee": 0.8056, "left ankle": 0.8290, "right ankle": 0.8289,
    "average": 0.7872,
}  # fmt: skip

# Table 3, the detection-based works and their backbones.
TABLE_3 = {
    "Tompson et al., 2014": "AlexNet", "Yang et al., 2016": "VGG", "Newell et al., 2016": "Hourglass",
    "Wei et al., 2016": "CPM", "Chu et al., 2017": "Hourglass", "Yang et al., 2017": "Hourglass",
    "Chen et al., 2017": "conv-deconv", "Peng et al., 2018": "Hourglass", "Ke et al., 2018": "Hourglass",
    "Tang et al., 2018a": "Hourglass", "Sun et al., 2019": "HRNet", "Tang and Wu, 2019": "Hourglass",
}  # fmt: skip


def kind(joint: str) -> float:
    """Table 2's mean of left and right."""
    return (TABLE_2[f"left {joint}"] + TABLE_2[f"right {joint}"]) / 2
