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

import torch

from minipose.data.coco import COCO, SKELETON
from minipose.data.formats.files import read_json
from minipose.data.sample import UNLABELLED
from minipose.io.errors import InputError

FIGURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")


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
    # A joint that the network does not know is nowhere, and scores nothing.
    rows = torch.cat([predicted.nan_to_num(0.0), scores[..., None]], dim=-1).flatten(1)
    return [
        {
            "image_id": person["image_id"],
            "category_id": dataset.category,
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
    with contextlib.redirect_stdout(io.StringIO()):  # it talks a lot
        truth = Truth()
        truth.dataset = _complete(read_json(dataset.annotations), dataset)
        truth.createIndex()
        # Copies: it writes into the records that it is given.
        evaluation = COCOeval(truth, truth.loadRes([dict(record) for record in results]), "keypoints")
        evaluation.params.imgIds = sorted({person["image_id"] for person in dataset.people})
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(FIGURES, map(float, evaluation.stats), strict=True))


def _complete(content: dict[str, Any], dataset: COCO) -> dict[str, Any]:
    """A file's content with what the tool needs and a file may lack, its people numbered from 1.

    The tool takes an id of 0 for nobody. A person of unknown area is measured by that of the box.
    """
    people = []
    for number, person in enumerate(filter(dataset.is_person, content["annotations"]), start=1):
        area = person.get("area")
        known = isinstance(area, int | float) and 0 < area < 1e12
        people.append(person | {
            "id": number, "category_id": dataset.category, "iscrowd": int(bool(person.get("iscrowd", 0))),
            "area": area if known else math.prod(person["bbox"][2:]),
            "num_keypoints": sum(seen > UNLABELLED for seen in person["keypoints"][2::3]),
        })  # fmt: skip
    return content | {"annotations": people, "categories": [{"id": dataset.category, "name": "person"}]}
