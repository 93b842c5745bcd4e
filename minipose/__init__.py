"""minipose: Stacked Hourglass Networks for Human Pose Estimation, small enough to read.

How the pieces fit together: a photo and its labels become a `Sample`, a `Crop` of it becomes the
network's input, the network gives one set of heatmaps per stage, `decode_heatmaps` finds the joints
in them and `Crop.inverse` brings these back into the photo.
"""

import os

# Before PyTorch loads: OpenMP threads that spin while they wait make a busy machine ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from minipose import data
from minipose.crops import Crop
from minipose.evaluation import evaluate
from minipose.heatmaps import decode_heatmaps, encode_heatmaps
from minipose.inference import Pose, predict
from minipose.io.errors import InputError
from minipose.metrics import pck
from minipose.models.convolutional_pose_machine import ConvolutionalPoseMachine
from minipose.models.hourglass import StackedHourglass
from minipose.models.network import PoseNetwork
from minipose.models.part_heatmap_regression import PartHeatmapRegression
from minipose.pretrained import load
from minipose.skeletons import COCO, FLIC, LSP, MPII, Skeleton
from minipose.training import train

__version__ = "0.1.0"
__all__ = [
    "COCO", "FLIC", "LSP", "MPII", "ConvolutionalPoseMachine", "Crop", "InputError", "PartHeatmapRegression",
    "Pose", "PoseNetwork", "Skeleton", "StackedHourglass", "data", "decode_heatmaps", "encode_heatmaps",
    "evaluate", "load", "pck", "predict", "train",
]  # fmt: skip
