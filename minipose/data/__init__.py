"""Data sets: every one hands out the same `Sample`."""

from minipose.data.lsp import LSP, LSPET
from minipose.data.puppets import Puppets
from minipose.data.sample import PoseDataset, Sample

__all__ = ["LSP", "LSPET", "PoseDataset", "Puppets", "Sample"]
