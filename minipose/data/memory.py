"""Samples kept in memory."""

from __future__ import annotations

from minipose.data.sample import PoseDataset, Sample, Wrapped


class InMemory(Wrapped):
    """A dataset that keeps each sample, with its picture, from the first use on.

    For what is small and costly to make, such as puppets: their pictures are drawn once and not once
    an epoch, for 3 bytes a pixel of memory. Only what this process reads is kept: workers forget.
    """

    def __init__(self, whole: PoseDataset):
        super().__init__(whole)
        self.kept: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self.whole)

    def _sample(self, number: int) -> Sample:
        if number not in self.kept:
            self.kept[number] = self.whole[number]
        return self.kept[number]
