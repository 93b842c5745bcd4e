"""How a paper trains its network, where that takes more than one call of `minipose.train`: phases by name.

Part heatmap regression (its sections 3.1 and 3.2, "Training"):

    for settings in recipe(network):
        minipose.train(network, people, **settings)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minipose.models.part_heatmap_regression import PartHeatmapRegression

# The stages that carry a loss.
PHASES = {"detector": [0], "regressor": [1], "both": [0, 1]}
# On MPII, of each phase: epochs, and learning rates, one behind the other for as many epochs each. The paper
# gives the first and last; in between ours fall by equal factors. For "both" it gives none: the last goes on.
RATES = {
    "resnet152": {
        "detector": (50, (1e-3, 4e-4, 1.6e-4, 6.3e-5, 2.5e-5)),
        "regressor": (40, (1e-4, 2.5e-5)),
        "both": (50, (2.5e-5,)),
    },
    "vgg16": {
        "detector": (20, (1e-8, 1e-9)),
        "regressor": (20, (1e-5, 1e-6)),
        "both": (10, (1e-6,)),
    },
}
# 380 px for VGG in the paper. RMSprop and batches of 8 are told of ResNet-152 only; VGG was trained in Caffe,
# whose usual optimizer is this one.
SETTINGS = {
    "resnet152": {"size": 256, "optimizer": "rmsprop"},
    "vgg16": {"size": 384, "optimizer": "sgd"},
}


def set_phase(network: PartHeatmapRegression, phase: str) -> None:
    """Let the "detector" learn, the "regressor" behind a detector that stays as it is, or "both"."""
    if phase not in PHASES:
        raise ValueError(f"phase must be one of {', '.join(PHASES)}, found {phase!r}")
    network.supervised = list(PHASES[phase])
    network.detector.requires_grad_(phase != "regressor")


def recipe(network: PartHeatmapRegression) -> Iterator[dict[str, Any]]:
    """The paper's whole training of a published instance: settings for one call of `minipose.train` each.

    Each is handed out with the network's phase set. Scaling by 0.7 to 1.3, rotation by up to 40 degrees and
    mirroring are the augmentation "cpm". The paper's standing person is 300 px of 380 tall, 0.79 of the crop;
    MPII's crops here hold one of 0.8. ImageNet's weights come before: `backbones.load_imagenet`.
    """
    backbone = network.arguments["backbone"]
    if backbone not in RATES:
        raise ValueError(f"the paper trains {' and '.join(RATES)}, not {backbone!r}")
    for phase, (epochs, rates) in RATES[backbone].items():
        for rate in rates:
            set_phase(network, phase)
            yield SETTINGS[backbone] | {
                "epochs": epochs // len(rates), "batch_size": 8, "learning_rate": rate,
                "schedule": "constant", "augment": "cpm",
            }  # fmt: skip
