"""Claims of sections 1 to 3.3: what the network is."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from minipose.models.hourglass import Hourglass, StackedHourglass
from minipose.models.residual import Residual
from minipose_book.experiments.records import Record
from minipose_book.papers.claims import Claim, Found, ahead, at, percent
from minipose_book.papers.newell2016.tables import NO_MPII


@cache
def network() -> StackedHourglass:
    """The paper's network as the package builds it, as shapes without memory."""
    with torch.device("meta"):
        return StackedHourglass()


def convolutions(module: nn.Module, besides: str = "-") -> list[nn.Conv2d]:
    """All convolutions of a module, in order, but for those with `besides` in their names."""
    return [m for name, m in module.named_modules() if isinstance(m, nn.Conv2d) and besides not in name]


@cache
def sides() -> tuple[list[int], int]:
    """Sides of the maps inside an hourglass for a picture of 256 px, and of its heatmaps.

    They do not depend on the number of hourglasses and of features; of few it is soon known.
    """
    narrow, seen = StackedHourglass(stacks=1, features=8), []
    for module in narrow.hourglasses.modules():
        if isinstance(module, Residual):
            module.register_forward_hook(lambda *each: seen.append(each[2].shape[-1]))
    with torch.no_grad():
        (heatmaps,) = narrow(torch.zeros(1, 3, 256, 256))
    return seen, heatmaps.shape[-1]


def _lowest(_) -> Found:
    lowest = min(sides()[0])
    return Found(f"{lowest}x{lowest} cells, for a picture of 256 px.", lowest == 4)


def _symmetric(_) -> Found:
    down = up = 0
    level: nn.Module = network().hourglasses[0]
    while isinstance(level, Hourglass):
        down, up, level = down + len(level.down), up + len(level.up), level.inner
    return Found(f"{down} residual modules on the way down, {up} on the way up.", down == up)


def _last_layers(_) -> Found:
    kernels = [m.kernel_size for m in convolutions(network().predictions[-1], besides="bottleneck")]
    shown = " and ".join("x".join(map(str, kernel)) for kernel in kernels)
    return Found(f"After a residual module, convolutions of {shown}.", kernels == [(1, 1)] * 2)


def _two_small_filters(_) -> Found:
    dot = torch.zeros(1, 1, 9, 9)
    dot[..., 4, 4] = 1
    twice = nn.functional.conv2d(dot, torch.ones(1, 1, 3, 3), padding=1)
    twice = nn.functional.conv2d(twice, torch.ones(1, 1, 3, 3), padding=1)
    reach = int((twice.sum(dim=2) > 0).sum())
    return Found(f"Two of 3x3 reach {reach}x{reach} pixels, with {2 * 9} weights for 25.", reach == 5)


def _filters(_) -> Found:
    stem, *others = [m.kernel_size[0] for m in convolutions(network())]
    return Found(
        f"The first convolution has {stem}x{stem}, the other {len(others)} at most "
        f"{max(others)}x{max(others)}.",
        max(stem, *others) <= 3,
    )


def _output(_) -> Found:
    inside, output = sides()
    return Found(
        f"An hourglass begins at {max(inside)}x{max(inside)} cells, and heatmaps have {output}x{output}.",
        {max(inside), output} == {64},
    )


def _precise(record: Record) -> Found:
    codec, plain = (at(record, f"codecs/ours, {how}") for how in ("quarter", "argmax"))
    return Found(
        f"Heatmaps of 64x64 of a perfect network lose {codec['mean error']:.2f} of 256 px on average with "
        f"the quarter offset ({plain['mean error']:.2f} without), and {percent(codec['ceiling'])} of the "
        f"joints are within a tenth of the head.",
        codec["ceiling"] > 0.999,
    )


def _stem(_) -> Found:
    first = convolutions(network().stem)[0]
    kinds = [type(m).__name__ for m in network().stem if isinstance(m, nn.Conv2d | Residual | nn.MaxPool2d)]
    return Found(
        f"{first.kernel_size[0]}x{first.kernel_size[1]}, stride {first.stride[0]}; in this order: "
        f"{', '.join(kinds)}.",
        (first.kernel_size, first.stride) == ((7, 7), (2, 2))
        and kinds == ["Conv2d", "Residual", "MaxPool2d", "Residual", "Residual"],
    )


def _features(_) -> Found:
    modules = [m for m in network().hourglasses.modules() if isinstance(m, Residual)]
    widths = {convolutions(m)[-1].out_channels for m in modules}
    return Found(f"{', '.join(map(str, sorted(widths)))}, in all residual modules.", widths == {256})


def _eight(_) -> Found:
    return Found(f"{len(network().hourglasses)}, by default.", len(network().hourglasses) == 8)


def _not_shared(_) -> Found:
    own = [{id(p) for p in hourglass.parameters()} for hourglass in network().hourglasses]
    return Found(
        f"{sum(map(len, own))} tensors of weights in {len(own)} hourglasses, {len(set().union(*own))} of "
        "them different.",
        len(set().union(*own)) == sum(map(len, own)),
    )


def _all_supervised(_) -> Found:
    stages = network().supervised
    return Found(f"By default {len(stages)} of {len(network().strides)} stages.", stages == list(range(8)))


def _remap(_) -> Found:
    heatmaps, remap = convolutions(network().predictions[0], besides="features")
    return Found(
        f"A convolution of {remap.kernel_size[0]}x{remap.kernel_size[1]} from {heatmaps.out_channels} maps "
        f"to {remap.out_channels} features.",
        (remap.kernel_size, remap.in_channels, remap.out_channels) == ((1, 1), heatmaps.out_channels, 256),
    )


NETWORK = (
    Claim(
        "1", "On MPII over 2 points better than the best before, averaged over all joints.", because=NO_MPII
    ),
    Claim("1", "Up to 4 or 5 points better on difficult joints such as knees and ankles.", because=NO_MPII),
    Claim("3.1, Figure 3", "The lowest resolution of an hourglass is 4x4 cells.", _lowest),
    Claim("3.1, Figure 3", "For every layer on the way down there is one on the way up.", _symmetric),
    Claim("3.1", "Two rounds of 1x1 convolutions make the predictions.", _last_layers),
    Claim("3.2", "Two filters of 3x3 can take the place of one of 5x5.", _two_small_filters),
    Claim(
        "3.2",
        "Residual modules did better than plain convolutions with large filters.",
        ahead("final/residual", "final/plain 5x5"),
        "layers",
    ),
    Claim(
        "3.2",
        "Inception modules did better than plain convolutions with large filters.",
        ahead("final/Inception", "final/plain 5x5"),
        "layers",
    ),
    Claim(
        "3.2",
        "After that, further changes of the layers did little.",
        because="the paper does not say which changes they were",
    ),
    Claim(
        "3.2, Figure 4",
        "Filters larger than 3x3 are never used. (The next paragraph names one of 7x7.)",
        _filters,
    ),
    Claim("3.2", "From a picture of 256x256 the hourglasses and the output have 64x64 cells.", _output),
    Claim("3.2", "The resolution of 64x64 costs no precision of the joints.", _precise, "decoding"),
    Claim(
        "3.2",
        "First a 7x7 convolution with stride 2, a residual module and a pooling (256 to 64), then two more "
        "residual modules.",
        _stem,
    ),
    Claim("3.2, Figure 3", "All residual modules of an hourglass put out 256 features.", _features),
    Claim("3.3, Figure 1", "The final network has eight hourglasses.", _eight),
    Claim("3.3", "The hourglasses share no weights.", _not_shared),
    Claim("3.3", "Every hourglass's heatmaps carry a loss.", _all_supervised),
    Claim("3.3, Figure 4", "A 1x1 convolution turns the heatmaps back into features.", _remap),
)
