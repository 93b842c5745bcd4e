"""Label your own photos in a notebook, joint by joint."""

from minipose_book.labelling.labelling import Labeller, Labels

__all__ = ["Labeller", "Labels"]
