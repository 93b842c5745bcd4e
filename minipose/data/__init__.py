"""Data sets: every one hands out the same `Sample`."""

from minipose.data.lsp import LSP, LSPET
from minipose.data.puppets import Puppets
from minipose.data.sample import InMemory, PoseDataset, Sample

__all__ = ["LSP", "LSPET", "InMemory", "PoseDataset", "Puppets", "Sample"]
