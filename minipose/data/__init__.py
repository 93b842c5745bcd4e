"""Data sets: every one hands out the same `Sample`."""

from minipose.data.coco import COCO
from minipose.data.flic import FLIC
from minipose.data.lsp import LSP, LSPET
from minipose.data.memory import InMemory
from minipose.data.mpii import MPII
from minipose.data.puppets.dataset import Puppets
from minipose.data.sample import PoseDataset, Sample

__all__ = ["COCO", "FLIC", "LSP", "LSPET", "MPII", "InMemory", "PoseDataset", "Puppets", "Sample"]
