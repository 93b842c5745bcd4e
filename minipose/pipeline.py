"""From a data set to batches: crop, vary, mirror, stack.

One sample becomes one example by one function, `load_example`; everything else passes indices around.
Order and draws follow from (seed, epoch, sample's index), so the number of worker processes and the
batch size change neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

from minipose import augmentation
from minipose.crops import transform
from minipose.data.sample import PoseDataset
from minipose.io.errors import InputError


@dataclass
class Batch:
    """B examples of S x S pixels.

    images : (B, 3, S, S) uint8. keypoints : (B, J, 2) float32 crop px, NaN where not labelled.
    visibility : (B, J) int64. others : (B, K, J, 3) float32 crop px, padded with visibility 0.
    matrices : (B, 3, 3) float64, photo px -> crop px. indices : the samples' in the data set.
    """

    images: torch.Tensor
    keypoints: torch.Tensor
    visibility: torch.Tensor
    others: torch.Tensor
    matrices: torch.Tensor
    indices: list[int]

    def to(self, device: torch.device) -> Batch:
        """The same on a device; matrices stay on the CPU, in float64."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The same in memory that a GPU can fetch from by itself. PyTorch's loader calls this."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, move: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        return replace(
            self,
            images=move(self.images),
            keypoints=move(self.keypoints),
            visibility=move(self.visibility),
            others=move(self.others),
        )


def load_example(dataset: PoseDataset, index: int, size: int, draw: augmentation.Draw) -> tuple:
    """One sample through one crop: image (S, S, 3), people (1 + K, J, 2), visibility, matrix, index."""
    sample = dataset[index]
    crop = draw.crop(sample.crop)
    matrix = crop.matrix(size)
    image = draw.colours(crop.image(sample.image, size))
    people = torch.from_numpy(np.concatenate([sample.keypoints[None], sample.others[..., :2]]))
    visibility = torch.from_numpy(np.concatenate([sample.visibility[None], sample.others[..., 2]]))
    people = transform(matrix, people)
    if crop.mirror:
        # The warp has mirrored the positions; what was a left wrist is now a right one.
        people = dataset.skeleton.flip(people, axis=-2)
        visibility = dataset.skeleton.flip(visibility, axis=-1)
    return image, people.float(), visibility.long(), matrix, index


def collate(examples: list[tuple]) -> Batch:
    """Stack examples, filling up with unlabelled people where some photos hold fewer others."""
    images, people, visibility, matrices, indices = zip(*examples, strict=True)
    padded = torch.nn.utils.rnn.pad_sequence(list(people), batch_first=True)  # (B, 1 + K, J, 2)
    seen = torch.nn.utils.rnn.pad_sequence(list(visibility), batch_first=True)  # (B, 1 + K, J)
    return Batch(
        # (B, S, S, 3) in memory, seen as (B, 3, S, S): channels_last without a copy.
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2),
        padded[:, 0],
        seen[:, 0],
        torch.cat([padded[:, 1:], seen[:, 1:, :, None].float()], dim=-1),
        torch.stack(matrices),
        list(indices),
    )


def shuffled_indices(count: int, seed: int, epoch: int) -> list[int]:
    """The order in which an epoch visits `count` samples."""
    # The last number keeps this stream apart from every sample's own (seed, epoch, index).
    return np.random.default_rng((seed, epoch, 0, 1)).permutation(count).tolist()


class _Examples(torch.utils.data.Dataset):
    def __init__(self, dataset: PoseDataset, size: int, augment: str, seed: int, epoch: int):
        self.dataset, self.size, self.augment, self.seed, self.epoch = dataset, size, augment, seed, epoch

    def __getitem__(self, index: int) -> tuple | InputError:
        draw = augmentation.draw(self.augment, self.seed, self.epoch, index)
        try:
            return load_example(self.dataset, index, self.size, draw)
        except InputError as error:
            return error  # raised in a worker, DataLoader would wrap it in a RuntimeError


def _collate_or_error(examples: list) -> Batch | InputError:
    errors = (each for each in examples if isinstance(each, InputError))
    return next(errors, None) or collate(examples)


def _one_thread(_worker: int) -> None:
    # Every worker has a core of its own; OpenCV's threads would only get in each other's way.
    cv2.setNumThreads(0)


def batches(
    dataset: PoseDataset,
    indices: list[int],
    size: int,
    batch_size: int,
    augment: str = "none",
    seed: int = 0,
    epoch: int = 0,
    workers: int = 0,
) -> Iterator[Batch]:
    """The samples `indices` as batches of `batch_size` crops of `size` px, in that order.

    `workers` processes prepare them (0: this one); the result does not depend on how many.
    """
    loader = DataLoader(
        _Examples(dataset, size, augment, seed, epoch),
        batch_sampler=[indices[i : i + batch_size] for i in range(0, len(indices), batch_size)],
        collate_fn=_collate_or_error,
        num_workers=workers,
        worker_init_fn=_one_thread,
        pin_memory=torch.cuda.is_available(),
    )
    for crops in loader:
        if isinstance(crops, InputError):
            raise crops
        yield crops


class StepLoader:
    """An epoch as the steps of the optimizer: each its samples' indices and an iterator of micro-batches.

    Parameters
    ----------
    dataset : the samples. indices : all of the epoch, in order. batch_size : samples of one step.
    micro_batches : the crops of these samples, or this process's part of them, in the same order.
    accumulate : micro-batches of a step. Where a last, smaller step has too few samples for all of them,
        the missing ones are None.
    """

    def __init__(
        self,
        dataset: PoseDataset,
        indices: list[int],
        batch_size: int,
        micro_batches: Iterator[Batch],
        accumulate: int = 1,
    ):
        self.dataset, self.micro_batches, self.accumulate = dataset, micro_batches, accumulate
        self.steps = [indices[i : i + batch_size] for i in range(0, len(indices), batch_size)]

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[tuple[list[int], Iterator[Batch | None]]]:
        for indices in self.steps:
            yield indices, (next(self.micro_batches, None) for _ in range(self.accumulate))

    def ids(self, indices: list[int]) -> str:
        """The samples' ids, for a message."""
        return ", ".join(self.dataset[index].id for index in indices)
