"""COCO's official scores by its own tool: average precision and recall over object keypoint similarity.

OKS is to COCO what PCK is to MPII: exp(-d^2 / (2 s^2 k^2)), averaged over a person's labelled joints,
with the person's area s^2 and a constant 2 sigma = k a joint. What this file adds to pycocotools is
the way from our predictions to its format, and the names of its ten figures.
"""

from __future__ import annotations

import contextlib
import io
import math
from typing import Any

import numpy as np
import torch

from minipose.data.coco import COCO, SKELETON
from minipose.data.sample import UNLABELLED
from minipose.io.errors import InputError

FIGURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
NOWHERE = 1e9  # px: so far from every label that it is worth nothing


def coco_results(dataset: COCO, predicted, scores) -> list[dict[str, Any]]:
    """COCO's result format, a record for each of the N people: ready for `json.dump`.

    predicted : (N, 17, 2) photo px. scores : (N, 17), any scale; a person's score is their mean.
    """
    predicted, scores = torch.as_tensor(predicted).double(), torch.as_tensor(scores).double()
    people, joints = len(dataset), len(dataset.skeleton)
    if predicted.shape != (people, joints, 2) or scores.shape != (people, joints):
        raise ValueError(
            f"results need predicted ({people}, {joints}, 2) and scores ({people}, {joints}), "
            f"found {tuple(predicted.shape)} and {tuple(scores.shape)}"
        )
    # A joint that the network does not know is (0, 0, 0), COCO's way to say that there is none.
    rows = torch.cat([predicted.nan_to_num(0.0), scores[..., None]], dim=-1).flatten(1)
    return [
        {
            "image_id": person["image_id"],
            "category_id": person["category_id"],
            "keypoints": row.tolist(),
            "score": float(score),
        }
        for person, row, score in zip(dataset.people, rows, scores.mean(dim=1), strict=True)
    ]


def average_precision(dataset: COCO, results: list[dict[str, Any]]) -> dict[str, float]:
    """COCO's ten figures, by name, over the photos that `dataset` has people in.

    As the official protocol has it, every labelled person in these photos counts, also those whom
    the data set left out: a filtered set cannot reach a recall of 1. A figure is -1 where no person
    is of that size. Raises `InputError` where the joints are not COCO's.
    """
    try:
        from pycocotools.coco import COCO as Truth
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise InputError("pycocotools", "import", "the package: pip install pycocotools") from error

    if not results:
        raise InputError("results", "records", "at least one person")
    if dataset.skeleton is not SKELETON:
        raise InputError(dataset.annotations, "categories[].keypoints", "COCO's 17 joints, for COCO's scores")
    photos = {person["image_id"] for person in dataset.people}  # whose ids are numbers, texts or both
    in_order = sorted(photos, key=lambda photo: (isinstance(photo, str), photo))
    numbers = {photo: number for number, photo in enumerate(in_order, start=1)}
    if strangers := [r["image_id"] for r in results if r["image_id"] not in numbers]:
        raise InputError("results", "image_id", "photos that the data set has people in", strangers[0])
    with contextlib.redirect_stdout(io.StringIO()):  # it talks a lot
        truth = Truth()
        truth.dataset = _truth(dataset, numbers)
        truth.createIndex()
        # Copies: it writes into the records that it is given.
        numbered = [r | {"image_id": numbers[r["image_id"]], "category_id": 1} for r in results]
        found = truth.loadRes(numbered)
        for record in found.anns.values():  # (0, 0, 0) is no joint, and would count as one in the corner
            rows = np.reshape(record["keypoints"], (-1, 3)).astype(float)
            rows[~rows.any(axis=1), :2] = NOWHERE
            record["keypoints"] = rows.ravel().tolist()
        evaluation = COCOeval(truth, found, "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(FIGURES, map(float, evaluation.stats), strict=True))


def ruler(dataset: COCO) -> str:
    """What the people that `average_precision` counts are measured by, since not every file has areas."""
    photos = {person["image_id"] for person in dataset.people}
    people = [person for photo in photos for person in dataset.in_photo[photo] if person["bbox"] is not None]
    lacking = sum(not person["area"] > 0 for person in people)
    return (
        f"the file's areas; the box's for {lacking} of {len(people)} people"
        if lacking
        else "the file's areas"
    )


def _truth(dataset: COCO, numbers: dict[Any, int]) -> dict[str, Any]:
    """The people of the photos in `numbers`, as the reader understood the file, for the tool.

    It sorts by ids and takes an id of 0 for nobody: photos and people are numbered from 1. A person of
    unknown area is measured by that of the box. Crowds and people without labels, of whom it needs the box
    alone, excuse what was found there.
    """
    people = [person for photo in numbers for person in dataset.in_photo[photo]]
    crowds = [crowd for crowd in dataset.crowds if crowd["image_id"] in numbers]
    annotations = [
        {
            "id": number, "image_id": numbers[each["image_id"]], "category_id": 1, "bbox": each["bbox"],
            "area": each["area"] if each["area"] > 0 else math.prod(each["bbox"][2:]),
            "keypoints": np.nan_to_num(each["joints"]).ravel().tolist(),
            "num_keypoints": int((each["joints"][:, 2] > UNLABELLED).sum()),
            "iscrowd": int(number > len(people)),
        }
        for number, each in enumerate(people + crowds, start=1)
        if each["bbox"] is not None
    ]  # fmt: skip
    images = [{"id": number} for number in numbers.values()]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
