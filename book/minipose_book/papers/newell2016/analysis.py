"""Claims of section 5: several people, and joints that are hidden or not there."""

from __future__ import annotations

from minipose_book.experiments.records import Record
from minipose_book.papers.claims import Claim, Found, Look, at, percent
from minipose_book.papers.newell2016.tables import NO_MPII

ARMS = ("elbow", "wrist")


def _follows_the_centre(record: Record) -> Found:
    line = record.curves["zoom 1.0"]
    ends = {end: (line["first"][k], line["second"][k]) for end, k in (("first", 0), ("second", -1))}
    return Found(
        f"With one person in the centre {percent(ends['first'][0])}% of the joints are theirs and "
        f"{percent(ends['first'][1])}% the other's; with the other there {percent(ends['second'][0])}% and "
        f"{percent(ends['second'][1])}%.",
        ends["first"][0] > 0.5 and ends["second"][1] > 0.5,
    )


def _scale_alone(record: Record) -> Found:
    found = at(record, "scale_alone_halfway")
    own, other = found["first_person_s_size"], found["second_person_s_size"]
    # A pose's lead lies within -1 and 1, so that of their mean two standard errors are at most this.
    doubt = 2 / found["pairs"] ** 0.5
    leads = own["first"] - own["second"], other["second"] - other["first"]
    return Found(
        f"From halfway between two people of unlike size, {found['pairs']} pairs: in the one's crop size "
        f"{percent(own['first'])}% of the joints are theirs and {percent(own['second'])}% the other's, in "
        f"the other's size {percent(other['first'])}% and {percent(other['second'])}%.",
        True if min(leads) > doubt else False if min(leads) < -doubt else None,
    )


def _visible_share(record: Record) -> Found:
    joints = [at(record, f"validation/joints/{joint}") for joint in ARMS]
    share = sum(each["visible"] for each in joints) / sum(each["labelled"] for each in joints)
    apart = ", ".join(
        f"{joint}s {percent(each['visible'] / each['labelled'])}"
        for joint, each in zip(ARMS, joints, strict=True)
    )
    return Found(f"{percent(share)}% ({apart}).", abs(share - 0.75) < 0.025)


def _occlusion(joint: str) -> Look:
    def look(record: Record) -> Found:
        found = at(record, f"pckh@0.5/{joint}")
        return Found(
            f"All {percent(found['all'])}, visible {percent(found['visible'])}, occluded "
            f"{percent(found['occluded'])}.",
            found["visible"] > found["all"] > found["occluded"],
        )

    return look


def _most_cases(record: Record) -> Found:
    found = {joint: at(record, f"pckh@0.5/{joint}/occluded") for joint in ARMS}
    shown = ", ".join(f"{joint}s {percent(share)}" for joint, share in found.items())
    return Found(f"Occluded joints found: {shown}.", min(found.values()) > 0.5)


def _presence(joint: str, area: float, unlabelled: float) -> Look:
    """Guessing reaches the share of labels; so what is compared is the part of the rest that is gained."""

    def look(record: Record) -> Found:
        found = at(record, f"half cut by the border/{joint}")
        guess, here = found["area_by_chance"], found["mean"]["area"]
        gained, paper = (here - guess) / (1 - guess), (area - (1 - unlabelled)) / unlabelled
        return Found(
            f"{percent(here)}, where guessing reaches {percent(guess)}: {gained:.2f} of what there is to "
            f"gain ({paper:.2f} in the paper). Here only what lies outside the picture has no label.",
            gained >= paper,
        )

    return look


def _unlabelled(joint: str, share: float) -> Look:
    def look(record: Record) -> Found:
        found = at(record, f"validation/joints/{joint}")
        here = 1 - found["labelled"] / found["places"]
        return Found(f"{percent(here)}% of {found['places']:,}.", percent(here) == percent(share))

    return look


def _samples(record: Record) -> Found:
    return Found(
        f"{at(record, 'validation/people'):,} in the usual split.", at(record, "validation/people") == 2958
    )


def _least_labelled(record: Record) -> Found:
    joints = at(record, "validation/joints")
    missing = {name: 1 - each["labelled"] / each["places"] for name, each in joints.items()}
    ranked = sorted(missing, key=lambda name: -missing[name])
    shown = ", ".join(f"{name} {percent(missing[name])}%" for name in ranked[:3])
    return Found(
        f"Most often without a label: {shown}.",
        set(ranked[:2]) == {"knee", "ankle"},
    )


ANALYSIS = (
    Claim(
        "5.1, Figure 10",
        "Moving and scaling the crop from one person to another makes the network annotate the other.",
        _follows_the_centre,
        "two-people",
    ),
    Claim(
        "5.1, Figure 10",
        "With centres only 26 px apart, in a picture of 720x1280, the change of scale decides who is "
        "annotated.",
        _scale_alone,
        "two-people",
    ),
    Claim(
        "5.2",
        "About 75% of the labelled elbows and wrists of the validation set are visible.",
        _visible_share,
        "labels",
    ),
    Claim(
        "5.2, Figure 11",
        "Wrists: 85.5 of all, 93.6 of the visible, 61.1 of the occluded. What is seen is found more often.",
        _occlusion("wrist"),
        "occlusion",
    ),
    Claim(
        "5.2, Figure 11",
        "Elbows: 90.5 of all, 95.1 of the visible, 74.0 of the occluded. The same holds of them.",
        _occlusion("elbow"),
        "occlusion",
    ),
    Claim("5.2", "Most occluded joints are found all the same.", _most_cases, "occlusion"),
    Claim(
        "5.2",
        "Wrists reach 85.5 on the validation set, a little less than 87.1 on the test set.",
        because=NO_MPII,
    ),
    Claim("5.2", "Knees and ankles are without a label most often.", _least_labelled, "labels"),
    Claim(
        "5.2, Figure 11",
        "The mean of a heatmap tells whether a knee has a label, with an area of 92.1 under precision over "
        "recall.",
        _presence("knee", 0.921, 0.161),
        "presence",
    ),
    Claim(
        "5.2, Figure 11",
        "The same of an ankle, with an area of 96.0.",
        _presence("ankle", 0.96, 0.284),
        "presence",
    ),
    Claim("5.2", "The validation set has 2958 samples.", _samples, "labels"),
    Claim("5.2", "16.1% of its knees have no label.", _unlabelled("knee", 0.161), "labels"),
    Claim("5.2", "28.4% of its ankles have no label.", _unlabelled("ankle", 0.284), "labels"),
)
