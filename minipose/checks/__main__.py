"""python -m minipose.checks: every exercise with its chapter and level."""

from minipose.checks import EXERCISES

for exercise in EXERCISES.values():
    print(f"{exercise.chapter:<22}{exercise.level:<11}{exercise.name}")
