"""Figures that move: in a notebook with its kernel, in Colab, and on the book's pages without either.

A figure is a JavaScript module of static/ and the data that it shows. `Moving` hands both to whatever
displays it, as HTML that holds everything and asks nobody; where a kernel could answer, an anywidget with
the same module comes along, and notebooks prefer it. `compare` is the book's centre; others are in
`minipose_book.figures.hourglass`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from minipose import heatmaps as codec
from minipose.crops import Crop
from minipose.data.puppets import Puppets
from minipose.inference import evaluating, stage_heatmaps, to_float
from minipose.io.errors import InputError
from minipose.io.images import read_photo
from minipose.models.network import PoseNetwork
from minipose_book.experiments import records
from minipose_book.pretrained import load

STATIC = Path(__file__).with_name("static")
IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=async function|function|const)", re.MULTILINE)
# The book's pages set this while they are built (book/build/pages.py): there will be no kernel to ask.
PAGES = "MINIPOSE_PAGES"

NETWORKS = (
    "stages-1x8", "stages-2x4", "stages-4x2", "stages-8x1",
    "stacking-hg", "stacking-hg-int", "stacking-hg-stacked", "stacking-hg-stacked-int",
)  # fmt: skip
# Of so many puppets, which no network has seen; chapter 8 looks at the first 200 of them.
SCENES, UNSEEN = 1000, 4321


def bundle(name: str) -> str:
    """Module static/NAME.js and all that it imports as one text: a page on a disk cannot import files."""
    order: list[str] = []

    def visit(module: str) -> None:
        for needed in IMPORT.findall(_source(module)):
            visit(needed)
        if module not in order:
            order.append(module)

    visit(name)
    return "\n".join(EXPORT.sub("", IMPORT.sub("", _source(module))) for module in order)


def _source(module: str) -> str:
    return (STATIC / f"{module}.js").read_text(encoding="utf-8")


class Moving:
    """A figure that moves: the last line of a cell shows it.

    Parameters
    ----------
    name : of the module in static/ and of the function that it exports. data : what JSON can hold.
    answer : called with each question of a live figure (a dict); returns its answer (a dict).
    """

    def __init__(
        self, name: str, data: dict[str, Any], answer: Callable[[dict[str, Any]], dict] | None = None
    ):
        self.name, self.data, self.answer = name, data, answer

    def html(self) -> str:
        """The figure as a piece of a page that loads nothing."""
        # "<" is escaped, lest a text in the data end the script.
        data = json.dumps(self.data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        code = bundle(self.name)
        key = hashlib.sha256((code + data).encode()).hexdigest()[:12]
        return (
            f'<div class="minipose-host" data-figure="{key}"></div>'
            "<noscript>This figure moves, which takes JavaScript.</noscript>\n"
            f'<script type="module">\n{code}\n'
            f"for (const host of document.querySelectorAll('[data-figure=\"{key}\"]:empty')) "
            f"{self.name}(host, {data});\n</script>"
        )

    def _repr_mimebundle_(self, **kwargs) -> dict[str, Any]:
        bundle = {"text/plain": f"<moving figure {self.name}>", "text/html": self.html()}
        if self.answer and not os.environ.get(PAGES) and (widget := self._widget()):
            bundle |= widget._repr_mimebundle_(**kwargs)[0] | {"text/plain": bundle["text/plain"]}
        return bundle

    def _widget(self):
        """The figure with a kernel to ask, or None without anywidget."""
        try:
            import anywidget
            import traitlets
        except ImportError:
            return None

        class Window(anywidget.AnyWidget):
            _esm = f"{bundle(self.name)}\n{_source('live')}".replace("FIGURE", self.name)
            data = traitlets.Dict().tag(sync=True)

        def take(window, question, buffers) -> None:
            try:
                reply = self.answer(question) if self.answer else {}
            except (InputError, ValueError, LookupError, TypeError) as error:
                reply = {"error": str(error)}
            window.send({"number": question.get("number"), "reply": reply})

        window = Window(data=self.data)
        window.on_msg(take)
        return window


def picture(pixels: np.ndarray) -> str:
    """Pixels (H, W, 3) uint8 RGB as the address of an image that is in the address itself."""
    settings = [
        cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    ]  # fmt: skip
    packed = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), settings)[1]
    return "data:image/jpeg;base64," + base64.b64encode(packed.tobytes()).decode()


def pack(values: torch.Tensor) -> str:
    """Maps (..., h, w), each relative to its own highest cell, in 8 bits, deflated, in base64."""
    highest = values.amax(dim=(-2, -1), keepdim=True).clamp(min=1e-30)
    levels = (255 * values / highest).round().clamp(0, 255).to(torch.uint8)
    return base64.b64encode(zlib.compress(levels.cpu().numpy().tobytes(), 9)).decode()


def rounded(values, places: int = 2) -> list:
    """Numbers as a page holds them."""
    return np.round(np.asarray(values, dtype=float), places).tolist()


Picture = int | str | Path | np.ndarray | tuple[str | Path | np.ndarray, Crop]


class Comparison:
    """What `compare` shows: the networks, the pictures, and what the ones make of the others."""

    def __init__(self, pictures: Sequence[Picture], networks: Sequence[str | PoseNetwork], seed: int):
        self.pictures, self.seed = list(pictures), seed
        self.names = [
            each if isinstance(each, str) else f"network {k + 1}" for k, each in enumerate(networks)
        ]
        self.networks = [load(each) if isinstance(each, str) else each for each in networks]
        skeletons = {n.skeleton.name: n.skeleton for n in self.networks if n.skeleton and n.size}
        if len(skeletons) != 1 or not self.pictures:
            raise InputError(
                "compare", "pictures and networks", "pictures, and trained networks of the same joints",
                f"{len(self.pictures)} pictures and {', '.join(skeletons) or 'no joints'}",
            )  # fmt: skip
        (self.skeleton,) = skeletons.values()

    def sample(self, number: int, size: int, scene: int | None = None):
        """Photo (H, W, 3), crop, joints (J, 3) photo px with visibility or None, head px of a picture."""
        chosen = self.pictures[number]
        if isinstance(chosen, int):
            scenes = Puppets(SCENES, self.seed, size, self.skeleton.name)
            puppet = scenes[chosen if scene is None else scene]
            truth = np.column_stack((puppet.keypoints, puppet.visibility))
            return puppet.image, puppet.crop, truth, puppet.sizes["head"]
        photo, crop = chosen if isinstance(chosen, tuple) else (chosen, None)
        photo = read_photo(photo) if isinstance(photo, str | Path) else photo
        return photo, crop or Crop.whole(photo), None, float("nan")

    def look(self, picture_: int, network: int, scene=None, right=0.0, down=0.0, zoom=1.0):
        """View and stages of a network on a picture, its crop moved by shares of its side and zoomed."""
        chosen = self.networks[network]
        size = chosen.size or 0
        photo, crop, truth, head = self.sample(picture_, size, scene)
        x, y = crop.center
        crop = replace(crop, center=(x + right * crop.side, y + down * crop.side), side=crop.side / zoom)
        pixels = crop.image(photo, size)
        view: dict[str, Any] = {"image": picture(pixels), "truth": None, "head": None}
        if truth is not None:
            points = crop.forward(truth[:, :2], size).numpy()
            view["truth"] = [
                rounded(at) if visibility > 0 else None
                for at, visibility in zip(points, truth[:, 2], strict=True)
            ]
            view["head"] = round(head * size / crop.side, 2)
        images = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        with evaluating(chosen):
            device = next(chosen.parameters()).device
            maps = stage_heatmaps(chosen, to_float(images, device), self.skeleton, flip=False)
        stages = []
        for stride, stage in zip(chosen.strides, maps, strict=True):
            points, scores = codec.decode_heatmaps(stage[0].cpu())
            found = rounded(codec.to_crop(points, stride))
            stages.append({"maps": pack(stage[0]), "points": found, "scores": rounded(scores, 3)})
        return view, stages

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """To a live figure's question: the same for a place and a puppet of its choice."""
        place = {name: question[name] for name in ("scene", "right", "down", "zoom")}
        view, stages = self.look(question["picture"], question["network"], **place)
        return {"view": view, "stages": stages}

    def label(self, number: int) -> str:
        chosen = self.pictures[number]
        chosen = chosen[0] if isinstance(chosen, tuple) else chosen
        if isinstance(chosen, np.ndarray):
            return f"photo {number + 1}"
        return f"puppet {chosen}" if isinstance(chosen, int) else Path(chosen).name

    def content(self) -> list[dict[str, Any]]:
        """Every picture with the views of all sizes and the stages of all networks."""
        content = []
        for number, chosen in enumerate(self.pictures):
            looks = [self.look(number, network) for network in range(len(self.networks))]
            sizes = [network.size for network in self.networks]
            views = {str(size): view for size, (view, _) in zip(sizes, looks, strict=True)}
            scene = chosen if isinstance(chosen, int) else None
            frames = [stages for _, stages in looks]
            content.append({"label": self.label(number), "scene": scene, "views": views, "frames": frames})
        return content


# Chosen for what they show: joints that stacking mends (48, 125), spoils (53), and a second person (167).
PUPPETS = (48, 125, 53, 167)


def compare(
    pictures: Sequence[Picture] = PUPPETS,
    networks: Sequence[str | PoseNetwork] = NETWORKS,
    joint: str = "left_ankle",
    seed: int = UNSEEN,
) -> Moving:
    """Two networks side by side on one picture: heatmaps, joints found and accuracy, stage by stage.

    With a kernel, sliders choose any of 1000 puppets and move and zoom the crop, and the networks look
    again; without one there are the pictures given here.

    Parameters
    ----------
    pictures : numbers of puppets in `Puppets(1000, seed)`, and photos: a path or (H, W, 3) uint8 RGB,
        which is looked at whole, or a photo and a `Crop`.
    networks : names of shipped networks or trained networks, all of the same joints. The accuracies are
        of the records "stages" and "stacking": PCKh@0.5 of the 8 limb joints, on 1000 other puppets.
    joint : the one that is shown first.
    """
    comparison = Comparison(pictures, networks, seed)
    skeleton = comparison.skeleton
    if joint not in skeleton.joints:
        raise InputError("compare", "joint", f"one of {', '.join(skeleton.joints)}", repr(joint))
    described = [
        {"name": name, "size": network.size, "strides": network.strides, **_measured(name)}
        for name, network in zip(comparison.names, comparison.networks, strict=True)
    ]
    source = "The ring is what the network found, the cross the truth."
    if any("accuracy" in each for each in described):
        source += (
            " The chart is from the records of the experiments: the share of wrists, elbows, knees and "
            "ankles found within half a head (solid: network A, dashed: B; shaded: the range of the seeds)."
        )
    data = {
        "joints": skeleton.joints, "limbs": skeleton.limbs, "joint": skeleton.index(joint),
        "networks": described, "pictures": comparison.content(), "scenes": SCENES, "source": source,
    }  # fmt: skip
    return Moving("compare", data, comparison.answer)


def _measured(name: str) -> dict[str, Any]:
    """Accuracy of each stage of a shipped network, and the seeds' range; nothing for other networks."""
    experiment, _, shape = name.partition("-")
    if name not in NETWORKS or not records.path(experiment, "cpu").is_file():
        return {}  # the records are the book's, and an installed package may be without it
    results = records.read(experiment, "cpu").results
    measured = {"accuracy": results["shipped"][name]["eight_joints_by_stage"]}
    if experiment == "stages":
        measured["range"] = [row["range"] for row in results["by_stage"][shape.split("x")[0]]]
    return measured
