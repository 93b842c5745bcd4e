"""Crops cut on the device: the batches of `pipeline`, without its worker processes and copies.

Decoding a photo and cutting a crop takes a CPU core milliseconds; a GPU trains on the crop in less.
But the crops of a person differ little from epoch to epoch. So each person's surroundings are cut
once, as a *stored crop* of twice the side, and stay on the device as bytes. Every epoch then samples
its crops from them, with the same draws and matrices as the loader. Network and loss get the same
`Batch`.

Twice the side is exactly enough: the largest draw has sqrt(2) times the evaluation crop's side, and
turned by 45 degrees such a square is sqrt(2) times wider again.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.nn.functional import grid_sample
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from minipose import augmentation
from minipose.crops import Crop, transform
from minipose.data.sample import PoseDataset, Sample
from minipose.inference import choose_device
from minipose.io.errors import InputError
from minipose.pipeline import Batch


def stored_crop(crop: Crop, size: int) -> Crop:
    """The square to store, at 2S x 2S pixels, for an evaluation crop that networks see at S x S.

    Twice the evaluation crop's side: its middle S x S pixels are the evaluation crop. Where the photo
    has fewer pixels than that, they are stored as they are, and crops from them equal the loader's.
    """
    x, y = (float(v) for v in crop.center)
    if crop.side > size:
        return Crop((x, y), 2 * float(crop.side))
    # A centre between two pixels, at most half a pixel off, lays the 2S pixels on the photo's own.
    return Crop((float(np.floor(x)) + 0.5, float(np.floor(y)) + 0.5), 2.0 * size)


def stored_crops(
    dataset: PoseDataset, size: int, title: str = "storing crops", progress: bool = True
) -> Iterator[tuple[int, Sample, Crop, np.ndarray]]:
    """All samples, each with its index, stored crop and that crop's (2S, 2S, 3) uint8 pixels.

    Photo by photo, not by index, so that one with several people is read once.
    """
    samples = {index: dataset[index] for index in range(len(dataset))}
    order = sorted(samples, key=lambda index: samples[index].path)
    path, photo = "", np.zeros((0, 0, 3), np.uint8)
    for index in tqdm(order, desc=title, unit="person", disable=not progress, leave=False):
        sample = samples.pop(index)  # popped: it now holds its photo, and both are freed together
        if not sample.path or sample.path != path:
            path, photo = sample.path, sample.image
        stored = stored_crop(sample.crop, size)
        yield index, sample, stored, stored.image(photo, 2 * size)


class GPUCropCache:
    """A dataset's stored crops on a device, and batches from them.

    Parameters
    ----------
    dataset : read once, here. size : S, the side in px of the crops to come.
    device : "auto", "cuda", "cpu" ... progress : show a bar while reading.

    A sample takes 12 S^2 bytes of the device: 786,432 at 256 px, 7.9 GB for 10,000 people. Labels are
    a few hundred bytes a person and stay on the CPU: there they are transformed in float64 by the
    function that the loader uses. Meant for a GPU: on a CPU the loader is about three times faster.

    Against `pipeline.batches`, labels and matrices are the same and pixels are nearly so:

    - People whose evaluation crop is at most S photo px wide (nearly all of LSPET at 256), and everyone
      up to 2 S without augmentation: the same pixels are interpolated once, and only rounding differs.
    - Augmented crops of larger people are interpolated twice, which softens details of a pixel or two.
      Of pictures blurred by 6 px of the crop 99.9 % of the pixels stay within 2 grey levels, none is
      off by more than 4. In MPII's sharp photos, and at the edges of puppets, the mean difference is
      1.5 levels, and one pixel in a thousand is off by 35 to 50.
    - A reduction beyond 2x is area-averaged once, at storing, by the evaluation crop's factor and not
      by each draw's. It is within the same bounds.
    - Beyond the stored crop a picture is black, but no recipe of `augmentation` reaches there.

    Raises `InputError` where a photo cannot be read or the device has no room.
    """

    def __init__(
        self, dataset: PoseDataset, size: int, device: str | torch.device = "auto", progress: bool = True
    ):
        self.skeleton, self.size, self.device = dataset.skeleton, size, choose_device(device)
        count, side = len(dataset), 2 * size
        try:
            self.pixels = torch.zeros((count, side, side, 3), dtype=torch.uint8, device=self.device)
        except RuntimeError as error:  # torch's OutOfMemoryError is a subclass; the CPU raises nothing better
            need = f"{count * side * side * 3 / 1e9:.1f} GB for {count} people of {size} px"
            raise InputError("GPUCropCache", str(self.device), need, "less room") from error
        self.matrices = torch.zeros((count, 3, 3), dtype=torch.float64)  # photo px -> stored px
        self.crops: list[Crop] = [Crop((0.0, 0.0), 1.0)] * count  # the evaluation crops
        self.people: list[torch.Tensor] = [torch.zeros(0)] * count  # (1 + K, J, 3) photo px, visibility
        for index, sample, stored, image in stored_crops(dataset, size, progress=progress):
            self.pixels[index] = torch.from_numpy(image).to(self.device)
            self.matrices[index] = stored.matrix(side)
            x, y = (float(v) for v in sample.crop.center)
            self.crops[index] = Crop((x, y), sample.crop.side, sample.crop.angle, sample.crop.mirror)
            person = np.column_stack((sample.keypoints, sample.visibility))
            self.people[index] = torch.from_numpy(np.concatenate([person[None], sample.others]))

    def __len__(self) -> int:
        return len(self.pixels)

    def batches(
        self, indices: list[int], batch_size: int, augment: str = "none", seed: int = 0, epoch: int = 0
    ) -> Iterator[Batch]:
        """The samples `indices` as batches of `batch_size` crops, in that order: see `pipeline.batches`.

        All but `matrices` (float64, CPU) is on the device; images are channels last in memory.
        """
        parts = [indices[i : i + batch_size] for i in range(0, len(indices), batch_size)]
        # A thread prepares the next batch while the device computes: otherwise the device would wait for
        # Python's draws between two steps.
        with ThreadPoolExecutor(1) as thread:
            ready = None
            for part in [*parts, []]:
                ahead = thread.submit(self.batch, part, augment, seed, epoch) if part else None
                if ready is not None:
                    yield ready.result()
                ready = ahead

    def batch(self, indices: list[int], augment: str = "none", seed: int = 0, epoch: int = 0) -> Batch:
        """One batch of the samples `indices`."""
        draws = [augmentation.draw(augment, seed, epoch, index) for index in indices]
        crops = [draw.crop(self.crops[index]) for draw, index in zip(draws, indices, strict=True)]
        mirrored = torch.tensor([bool(crop.mirror) for crop in crops])
        matrices = Crop(
            np.array([crop.center for crop in crops]),
            np.array([crop.side for crop in crops]),
            np.array([crop.angle for crop in crops]),
            mirrored,
        ).matrix(self.size)
        people = self._people(indices, matrices, mirrored)
        images = self._images(indices, matrices)
        return Batch(
            # All draws of a recipe are of one kind. In memory they stay channels last.
            draws[0].on_device(draws, images).to(torch.uint8, memory_format=torch.channels_last),
            people[:, 0, :, :2].float(),
            people[:, 0, :, 2].long(),
            people[:, 1:].float(),
            matrices,
            list(indices),
        ).to(self.device)

    def _people(self, indices, matrices, mirrored) -> torch.Tensor:
        """(B, 1 + K, J, 3) float64: x and y in crop px, visibility; zeros where there is nobody."""
        rows = [self.people[index] for index in indices]
        people = pad_sequence(rows, batch_first=True)
        nobody = torch.arange(people.shape[1]) >= torch.tensor([len(row) for row in rows])[:, None]
        people[..., :2] = transform(matrices[:, None], people[..., :2])
        # As in `pipeline.load_example`: a mirror has turned a left wrist into a right one.
        people = torch.where(mirrored[:, None, None, None], self.skeleton.flip(people, axis=-2), people)
        return people.masked_fill_(nobody[..., None, None], 0.0)

    def _images(self, indices, matrices) -> torch.Tensor:
        """(B, 3, S, S) float32 on the device: sampled, in whole grey levels as the loader's warp has them."""
        side, device = 2 * self.size, self.device
        where = torch.tensor(indices)
        # grid_sample asks where a crop's pixel comes from: crop px -> photo px -> stored px, and there
        # -1 and 1 are the outer edges of the outer pixels.
        theta = self.matrices[where] @ torch.linalg.inv(matrices)
        theta = theta[:, :2] * (2 / side)
        theta[..., 2] += 1 / side - 1
        across, down, shift = theta.float().to(device, non_blocking=True)[:, None, None].unbind(-1)
        # Sums and not a matrix product, which a GPU may round to the 10 bits of TF32.
        cell = torch.arange(self.size, dtype=torch.float32, device=device)
        grid = across * cell[:, None] + (down * cell[:, None, None] + shift)  # (B, S, S, 2)
        stored = self.pixels[where.to(device, non_blocking=True)].permute(0, 3, 1, 2).float()
        return grid_sample(stored, grid, padding_mode="zeros", align_corners=False).round_()
