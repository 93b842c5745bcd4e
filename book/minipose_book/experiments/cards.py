"""Model cards of the networks that experiments ship, written from their records.

python -m minipose_book.experiments.cards writes them beside the weights; a test compares.
"""

from __future__ import annotations

from typing import Any

from minipose.models.hourglass import StackedHourglass
from minipose.models.part_heatmap_regression import PartHeatmapRegression
from minipose_book.experiments import records
from minipose_book.pretrained import card_path, load

# Experiments that ship networks; each record's results["shipped"] holds their scores by name.
SOURCES = ("reference", "stages", "stacking", "cpm-reference", "part-reference")
# Lines of Markdown, as they stand in the cards.
PEOPLE = {
    "puppets": "Painted puppets (`minipose.data.Puppets`), MPII's 16 joints. No photograph was seen.",
    "lspet": """\
Leeds Sports Pose Extended (Johnson & Everingham, CVPR 2011), LSP's 14 joints: people of its 8,000
to train on. Photos of gymnastics, parkour and athletics; joints without a label carry no loss. The 1,000
of `minipose/data/lspet_held_out.txt` were measured on once, at the end; nothing was chosen on them.""",
}
LIMITS = {
    "puppets": "Puppets are not people: on photographs it is of no use.",
    "lspet": """\
It has learned one kind of photo: sport, one person, seen whole. Use it to learn from, not to judge
anybody's movements.""",
}
TERMS = {
    "puppets": "MIT, like the code that drew its data.",
    "lspet": """\
The weights are MIT. No licence text ships with LSPET; its authors ask to be cited, and the photos come
from Flickr. None of its photos is part of this package.""",
}


def card(name: str, record: records.Record) -> str:
    """The card of the network `name` that a record ships, as Markdown."""
    network, found = load(name), record.results["shipped"][name]
    plan = record.settings.get(name, record.settings)
    arguments = network.arguments
    parameters = sum(p.numel() for p in network.parameters())
    if isinstance(network, StackedHourglass):
        shape = f"Hourglasses x residual modules a level: {arguments['stacks']} x {arguments['residuals']}"
        shape += f"; {arguments['features']} features"
    elif isinstance(network, PartHeatmapRegression):
        shape = f'{type(network).__name__}, "{arguments["backbone"]}": {arguments["first"]}, then regression'
    else:
        shape = f"{type(network).__name__}, {arguments['stages']} stages; {arguments['features']} features"
    recipe = f"`minipose-book experiment {record.name} --scale {record.scale}`, seed {record.seeds[0]}"
    rows = [f"| {metric} | {value} |" for metric, value in found["means"].items()]
    worst = sorted((value, joint) for joint, value in found["per_joint"].items() if value is not None)
    lines = [
        f"# {name}",
        "",
        f"{shape}, crops of {network.size} px. {parameters:,} parameters,\n"
        "convolutions stored in half precision.",
        "",
        "## Data",
        "",
        PEOPLE[plan["data"]],
        "",
        "## Recipe",
        "",
        f"{recipe}: {plan['epochs']} epochs of {plan['optimizer']}\nat {plan['learning_rate']:g} "
        f'({plan["schedule"]}), batches of {plan["batch_size"]}, augmentation "{plan["augment"]}".',
        "",
        "## Device",
        "",
        f"{record.where}.",
        "",
        "## Scores",
        "",
        f"On {found['people']} people that nobody trained on, {found['how']}:",
        "",
        "| metric, mean over the 12 limb joints | |",
        "|---|---|",
        *rows,
        "",
        _stages(found),
        "",
        "## Limits",
        "",
        f"{LIMITS[plan['data']]} {_worst(worst)}{_hidden(found)}",
        "It expects a crop of about 1.5 times the box of the joints, with the person in its centre.",
        "",
        "## Terms",
        "",
        TERMS[plan["data"]],
    ]
    return "\n".join(lines) + "\n"


def _worst(ranked: list[tuple[float, str]]) -> str:
    low, high = ranked[:3], ranked[-2:]
    names = ", ".join(f"{joint.replace('_', ' ')} {value:.2f}" for value, joint in low)
    best = ", ".join(f"{joint.replace('_', ' ')} {value:.2f}" for value, joint in reversed(high))
    return f"Worst joints: {names}; best: {best}."


def _hidden(found: dict[str, Any]) -> str:
    if found.get("occluded") is None:
        return ""
    return f" Of visible joints it finds {found['visible']:.2f}, of occluded ones {found['occluded']:.2f}."


def _stages(found: dict[str, Any]) -> str:
    values = ", ".join(f"{value:.3f}" for value in found["eight_joints_by_stage"])
    return f"Wrists, elbows, knees and ankles by stage, first to last: {values}."


def cards() -> dict[str, str]:
    """Name and text of every card, from the records that the book has."""
    found: dict[str, str] = {}
    for source in SOURCES:
        record = records.read(source)
        found |= {name: card(name, record) for name in record.results["shipped"]}
    return found


def main() -> None:
    for name, text in cards().items():
        card_path(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
