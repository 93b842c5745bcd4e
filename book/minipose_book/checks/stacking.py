"""Checks of chapter 6, "Stacking and intermediate supervision": what counts as correct."""

from __future__ import annotations

import numpy as np

from minipose_book.checks.core import Verdict, compare, exercise


def _numbers(rng: np.random.Generator) -> dict:
    """Two stages of single numbers: x into the first, what each head makes of its input, weights, target."""
    draw: dict[str, list[float]] = {
        "x": [1, 2, 4], "u": [2, 3], "c": [0.5, -0.5], "a": [-1, 0.5], "b": [3, 5], "target": [-7, 7],
    }  # fmt: skip
    return {name: float(rng.choice(values)) for name, values in draw.items()}


def _two_stages(x, u, c, a, b, target, base=lambda x, f: x):
    """Heatmap of either stage, and the loss."""
    f = u * x
    first = c * f
    second = c * u * (base(x, f) + a * f + b * first)
    return first, second, (first - target) ** 2 + (second - target) ** 2


@exercise("stacking", "warm-up", _numbers)
def stack_by_hand(answer, **given) -> Verdict:
    """The heatmaps of two stages, of one number each, and the loss."""
    first, second, loss = right = _two_stages(**given)
    return compare(answer, right, [
        (_two_stages(**given, base=lambda x, f: 0), "Three things are added at the merge."),
        (_two_stages(**given, base=lambda x, f: f), "Is it what entered or what left that is passed on?"),
        (_two_stages(**given | {"b": 0}), "The heatmaps are brought back too."),
        ((first, second, loss / 2), "The losses of the stages are added."),
        ((first, second, (second - given["target"]) ** 2), "The first stage has a loss as well."),
    ])  # fmt: skip


def _prices(rng: np.random.Generator) -> dict:
    """Multiply-adds of networks of one stack and of two, in G; stacks, and after how many to stop."""
    one, each = int(rng.choice([5, 7])), int(rng.choice([2, 3]))
    stacks, stop = int(rng.choice([4, 8])), int(rng.choice([1, 2, 3]))
    return {"one": one, "two": one + each, "stacks": stacks, "stop": stop}


@exercise("stacking", "warm-up", _prices)
def stop_after(answer, one, two, stacks, stop) -> Verdict:
    """The share of the multiplications that stopping early saves."""
    each = two - one
    saved, total = (stacks - stop) * each, one + (stacks - 1) * each
    return compare(answer, saved / total, {
        1 - stop / stacks: "What is paid once, whether there is one hourglass or eight?",
        1 - saved / total: "That share is spent. Which one is saved?",
        saved: "That is what is saved. What share is it of the whole?",
        saved / (total + each): "The first stack is in `one` already. How many more are there?",
    })  # fmt: skip


def _a_cut(rng: np.random.Generator) -> dict:
    """Five stacks, the stages (from 1) that have a loss, and the stage behind which the gradient is cut."""
    cut = int(rng.integers(2, 4))
    return {"stacks": 5, "losses": sorted({int(rng.integers(1, cut + 1)), cut + 1, 5}), "cut": cut}


def _reached(stacks, losses, cut, merges_behind=0, reaches=lambda loss, k: loss >= k):
    """By how many losses the stem is reached, then each hourglass, then each merge."""

    def count(k: int, first: int, before: int) -> int:
        return sum(reaches(loss, first) and not (k <= before and cut < loss) for loss in losses)

    hourglasses = [count(k, max(k, 1), cut) for k in range(stacks + 1)]  # number 0 is the stem
    return hourglasses + [count(k, k + 1, cut - merges_behind) for k in range(1, stacks)]


@exercise("stacking", "practice", _a_cut)
def detached_stages(answer, stacks, losses, cut) -> Verdict:
    """How many losses reach the stem, each hourglass and each merge of a stack that is cut in two."""
    given = stacks, losses, cut
    return compare(answer, _reached(*given), [
        (_reached(stacks, losses, cut=-1), "What comes back to a tensor that was detached?"),
        (_reached(*given, merges_behind=1), "Is the merge before the cut or behind it?"),
        (_reached(*given, reaches=lambda loss, k: loss == k), "A loss reaches what lies before it too."),
        (_reached(*given, reaches=lambda loss, k: loss <= k), "Gradients travel towards the input."),
    ])  # fmt: skip


def _steps(rng: np.random.Generator) -> dict:
    """Gradients (stages, weights) of the losses of three stages; the last one in another direction."""
    first = rng.integers(1, 5, (2, 4))
    return {"calls": [(np.vstack([first, sign * rng.integers(2, 9, 4)]).astype(float),) for sign in (1, -1)]}


def _shares(gradients: np.ndarray) -> np.ndarray:
    step = gradients.sum(axis=0)
    return gradients @ step / (step @ step)


def _cosines(gradients: np.ndarray) -> np.ndarray:
    return _shares(gradients) / _lengths(gradients) * np.linalg.norm(gradients.sum(axis=0))


def _lengths(gradients: np.ndarray) -> np.ndarray:
    return np.linalg.norm(gradients, axis=1)


@exercise("stacking", "practice", _steps)
def who_moves_it(answer, calls) -> Verdict:
    """A function (gradients (N, P)) -> each stage's share (N,) in the step that they take together."""
    return compare(answer, _shares, {
        (lambda g: _lengths(g) / _lengths(g).sum()): "Which way a gradient points counts too.",
        (lambda g: _lengths(g) ** 2 / (g**2).sum()): "Two stages that agree help each other.",
        _cosines: "Those are cosines. Do they sum to 1?",
        (lambda g: g @ g.sum(axis=0)): "What do these have to be divided by, to sum to 1?",
    }, on=calls)  # fmt: skip


def _settling(rng: np.random.Generator) -> dict:
    """Calls (points (stages, joints, 2) in cells, reach): all joints settle, one of them later or never."""
    calls = []
    for last in ([0.8, 0.8], [2.5, 0.0], [0.0, -9.0]):
        soon, late = int(rng.integers(2, 4)), int(rng.integers(5, 7))
        moves = rng.uniform(-0.1, 0.1, (8, 6, 2))
        moves[:soon] += rng.choice([-2, 2], (soon, 6, 2))
        moves[soon : late if last[1] >= 0 else 8, 0] += last
        calls.append(((20 + moves.cumsum(axis=0)).round(2), 1.0))
    return {"calls": calls}


def _stop(over=np.max, size=lambda moves: np.hypot(*moves.T), since=lambda k: k - 1, more=1):
    """How many hourglasses have been run when the joints have settled."""

    def run(points: np.ndarray, reach: float) -> int:
        for k in range(1, len(points)):
            if over(size(points[k] - points[since(k)])) <= reach:
                return k + more
        return len(points)

    return run


@exercise("stacking", "project", _settling)
def early_exit(answer, calls) -> Verdict:
    """A function (points, reach) -> how many hourglasses are run until no joint moves farther than that."""
    return compare(answer, _stop(), {
        _stop(more=0): "To see that nothing moves takes one hourglass more.",
        _stop(over=np.mean): "The average is not enough: one joint that still moves is a reason to go on.",
        _stop(size=lambda moves: np.abs(moves).T): "How far is it along the diagonal?",
        _stop(since=lambda k: 0): "How far has each joint moved since the stage just before?",
    }, on=calls)  # fmt: skip


@exercise("stacking", "research", lambda rng: {"seed": int(rng.integers(1000))})
def last_or_all(answer, seed) -> Verdict:
    """Correlations (2, 2) with the target, all losses and the last one only: first stage, last stage."""
    return compare(np.asarray(answer, float) > 0.2, [[1, 1], [0, 1]], [
        ([[1, 1], [1, 1]], "The second network's first stage has learned too. Was its loss left out?"),
        ([[0, 0], [0, 0]], "Nothing has learned. Does the optimizer step, for all the steps of the text?"),
        ([[0, 1], [1, 1]], "Are the rows exchanged? The network with all losses first."),
        ([[1, 1], [1, 0]], "Are the columns exchanged? The first stage first."),
    ])  # fmt: skip
