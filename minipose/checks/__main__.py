"""python -m minipose.checks: every exercise with its chapter and level."""

from contextlib import suppress

from minipose.checks import EXERCISES

with suppress(BrokenPipeError):  # `head` has seen enough
    for exercise in EXERCISES.values():
        print(f"{exercise.chapter:<22}{exercise.level:<11}{exercise.name}", flush=True)
