"""Painted people, drawn from a seed: a data set without a download."""

from minipose.data.puppets.dataset import UNSEEN_SEED, Puppets

__all__ = ["UNSEEN_SEED", "Puppets"]
