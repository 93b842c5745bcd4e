"""Label your own photos: click the joints in a notebook, get a file in COCO's keypoint format.

`Labels` holds the answers and every step between them, and knows nothing of a screen; `Labeller`
shows it in a notebook (static/labelling.js draws, and sends clicks in the photo's own pixels).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from minipose.data.formats.files import read_json
from minipose.data.sample import OCCLUDED, UNLABELLED, VISIBLE
from minipose.io.checkpoints import atomic
from minipose.io.errors import InputError
from minipose.io.images import read_photo
from minipose.skeletons import SKELETONS

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
STEPS = ("click", "skip", "occluded", "undo", "go")
MODULE = Path(__file__).with_name("labelling.js")


class Labels:
    """One person a photo, answered joint by joint in the skeleton's order, saved after every change.

    Parameters
    ----------
    photos : a folder of photos. skeleton : "coco" (what `minipose.data.COCO` reads), "mpii", "lsp" ...
    out : the JSON file; one that this class wrote is read back, to go on at the first open joint.

    An answer is (x, y, visibility) in photo px, visibility as COCO has it. Left and right are the
    person's own. Raises `InputError` for folders, photos and files that are not what they should be.
    """

    def __init__(self, photos: str | Path, out: str | Path, skeleton: str = "coco"):
        self.folder, self.out = Path(photos), Path(out)
        if skeleton not in SKELETONS:
            raise InputError("labelling", "skeleton", f"one of {', '.join(SKELETONS)}", repr(skeleton))
        self.skeleton = SKELETONS[skeleton]
        # A Mac leaves a file "._photo.jpg" beside each photo that it copies: names with a dot are no photos.
        found = (p.name for p in self.folder.glob("*") if p.suffix.lower() in SUFFIXES)
        self.names = sorted(name for name in found if not name.startswith("."))
        if not self.names:
            raise InputError(self.folder, "photos", f"a folder with files {', '.join(SUFFIXES)}", "none")
        self.answers: dict[str, list[tuple[float, float, int]]] = {name: [] for name in self.names}
        self.dimensions: dict[str, tuple[int, int]] = {}  # (width, height) of the photos seen so far
        self.unreadable: dict[str, InputError] = {}  # photos that were passed over, and why
        if self.out.exists():
            self._read()
        joints = len(self.skeleton)
        for number in sorted(
            range(len(self.names)), key=lambda n: len(self.answers[self.names[n]]) >= joints
        ):
            if self._open(number):  # the first with an open joint, or else the first at all
                break
        else:
            raise self.unreadable[self.names[0]]

    @property
    def name(self) -> str:
        """File name of the photo at hand."""
        return self.names[self.number]

    @property
    def joint(self) -> str | None:
        """The joint that is asked for; None when all of this photo have an answer."""
        done = len(self.answers[self.name])
        return self.skeleton.joints[done] if done < len(self.skeleton) else None

    def go(self, number: int) -> None:
        """Turn to photo `number`, counted from 0; beyond either end, to the nearest there is.

        A photo that cannot be read, or is no longer of the size at which it was labelled, raises its error
        and changes nothing; asked for once more, the next one in that direction is opened instead.
        """
        number = min(max(number, 0), len(self.names) - 1)
        known = self.names[number] in self.unreadable
        beyond = range(number, len(self.names)) if number >= self.number else range(number, -1, -1)
        if not any(self._open(n) for n in (beyond if known else [number])):
            raise self.unreadable[self.names[number]]

    def _open(self, number: int) -> bool:
        """Show photo `number`, if it can be read; otherwise nothing changes."""
        name = self.names[number]
        try:
            photo = read_photo(self.folder / name, self.dimensions[name] if self.answers[name] else None)
        except InputError as error:
            self.unreadable[name] = error
            return False
        self.unreadable.pop(name, None)
        self.number, self.photo, self.hidden = number, photo, False
        self.dimensions[name] = (photo.shape[1], photo.shape[0])
        return True

    def click(self, x: float, y: float) -> None:
        """Set the joint that is asked for, in photo px; nothing where all have an answer."""
        width, height = self.dimensions[self.name]
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            raise InputError(self.name, "click", f"x, y within {width} x {height} px", (x, y))
        self._answer(x, y, OCCLUDED if self.hidden else VISIBLE)

    def skip(self) -> None:
        """The joint that is asked for cannot be told, or lies outside the photo: not labelled."""
        self._answer(0.0, 0.0, UNLABELLED)

    def occluded(self) -> None:
        """The joint that is asked for is hidden: the next click is a guess. Twice takes it back."""
        self.hidden = not self.hidden and self.joint is not None

    def undo(self) -> None:
        """Take back `occluded`, or else this photo's last answer."""
        if self.hidden:
            self.hidden = False
        elif self.answers[self.name]:
            self.answers[self.name].pop()
            self.save()

    def save(self) -> None:
        """Write the file, whole or not at all."""
        with atomic(self.out) as partial:
            partial.write_text(json.dumps(self.content(), indent=1), encoding="utf-8")

    def content(self) -> dict[str, Any]:
        """The file: photos that have an answer, people who have a labelled joint."""
        images, annotations = [], []
        for number, name in enumerate(self.names, start=1):
            if answers := self.answers[name]:
                size = dict(zip(("width", "height"), self.dimensions[name], strict=True))
                # COCO does not have `answered`: it tells joints skipped from joints to come.
                images.append({"id": number, "file_name": name, **size, "answered": len(answers)})
            if any(visibility > UNLABELLED for _, _, visibility in answers):
                annotations.append({"id": number, "image_id": number} | self._person(answers))
        limbs = [[a + 1, b + 1] for a, b in self.skeleton.limbs]  # COCO counts joints from 1
        category = {"id": 1, "name": "person", "keypoints": list(self.skeleton.joints), "skeleton": limbs}
        return {"images": images, "annotations": annotations, "categories": [category]}

    def _person(self, answers: list[tuple[float, float, int]]) -> dict[str, Any]:
        """COCO's fields of a person; joints that have no answer yet are not labelled."""
        to_come = [(0.0, 0.0, UNLABELLED)] * (len(self.skeleton) - len(answers))
        keypoints = [value for x, y, v in answers + to_come for value in (round(x, 2), round(y, 2), v)]
        labelled = np.array([(x, y) for x, y, visibility in answers if visibility > UNLABELLED])
        low, high = labelled.min(axis=0), labelled.max(axis=0)
        # Like COCO's, a box covers the pixels x ... x + width - 1, whose centres are the integers.
        # It is 10 % larger than the joints span, and not nothing around a single one.
        width, height = np.maximum(1.1 * (high - low + 1), 8.0)
        x, y = (low + high - (width, height) + 1) / 2
        return {
            "category_id": 1, "iscrowd": 0, "keypoints": keypoints, "num_keypoints": len(labelled),
            "bbox": [round(float(v), 2) for v in (x, y, width, height)],
            "area": round(float(width * height), 2),  # of the box: nobody drew an outline
        }  # fmt: skip

    def _answer(self, x: float, y: float, visibility: int) -> None:
        self.hidden = False
        if self.joint is not None:
            self.answers[self.name].append((float(x), float(y), visibility))
            self.save()

    def _read(self) -> None:
        """Take over what an earlier session wrote; whatever else the file is, it is left alone."""
        try:
            content = read_json(self.out, "labels", "a file written by Labels")
            names = [str(name) for name in content["categories"][0]["keypoints"]]
            people = {person["image_id"]: person["keypoints"] for person in content["annotations"]}
            answers, nobody = {}, [0] * 3 * len(names)
            if len(people) < len(content["annotations"]):
                raise ValueError("two people in one photo")
            for photo in content["images"]:
                if photo["file_name"] in answers:
                    raise ValueError(f"{photo['file_name']} is there twice")
                rows = np.reshape(people.get(photo["id"], nobody), (len(names), 3))[: photo["answered"]]
                if not (
                    np.isfinite(rows).all() and np.isin(rows[:, 2], (UNLABELLED, OCCLUDED, VISIBLE)).all()
                ):
                    raise ValueError(f"the keypoints of {photo['file_name']}")
                answers[photo["file_name"]] = [(x, y, int(v)) for x, y, v in rows.tolist()]
                self.dimensions[photo["file_name"]] = (int(photo["width"]), int(photo["height"]))
        except InputError:
            raise
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            raise InputError(self.out, "labels", "a file written by Labels", f"trouble: {error}") from error
        if names != list(self.skeleton.joints):
            raise InputError(self.out, "categories", f"the joints of {self.skeleton.name}", ", ".join(names))
        if lost := sorted(set(answers) - set(self.names)):
            raise InputError(self.out, "images", f"photos in {self.folder}", lost[0])
        self.answers |= answers


class Labeller:
    """The labelling window: `Labeller("photos", "labels.json")` as the last line of a notebook's cell.

    Click the joint that is named, on the person's own left or right. Keys: O hidden (then click where
    it must be), S skip, U undo, arrows for another photo. `.labels` is what is known so far; the file
    is up to date at any moment. Arguments and errors as for `Labels`.
    """

    def __init__(self, photos: str | Path, out: str | Path, skeleton: str = "coco"):
        try:
            import anywidget
            import traitlets
        except ImportError:
            raise InputError("labelling", "anywidget", "it installed: pip install anywidget") from None

        class Window(anywidget.AnyWidget):
            _esm = MODULE.read_text(encoding="utf-8")
            state = traitlets.Dict().tag(sync=True)
            photo = traitlets.Bytes().tag(sync=True)  # JPEG

        self.labels, self.widget = Labels(photos, out, skeleton), Window()
        self.widget.on_msg(self._take)
        self._show("; ".join(map(str, self.labels.unreadable.values())))

    def _repr_mimebundle_(self, **kwargs):
        return self.widget._repr_mimebundle_(**kwargs)

    def _take(self, _, message: dict[str, Any], buffers) -> None:
        """A message from the browser is a step; what it leads to is shown."""
        try:
            if message["step"] in STEPS:
                getattr(self.labels, message["step"])(*message["arguments"])
            self._show()
        except InputError as error:  # a full disk, a photo that cannot be read
            self._show(str(error))

    def _show(self, error: str = "") -> None:
        labels = self.labels
        # What equals what was there before does not travel again.
        self.widget.photo = cv2.imencode(".jpg", cv2.cvtColor(labels.photo, cv2.COLOR_RGB2BGR))[1].tobytes()
        self.widget.state = {
            "name": labels.name, "number": labels.number, "count": len(labels.names),
            "size": labels.dimensions[labels.name], "joint": labels.joint, "hidden": labels.hidden,
            "answers": list(labels.answers[labels.name]), "limbs": labels.skeleton.limbs, "error": error,
        }  # fmt: skip
