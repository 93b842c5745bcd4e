"""python -m soak [NAME ...]: print a table of what held; exit status 1 if something did not."""

from __future__ import annotations

import argparse
import datetime
import importlib
import platform
import sys
import time

import torch

import minipose

# Each is a module here with a function `figures()`.
NAMES = ("kills", "disk", "machines", "long_runs", "numerics", "hostile", "guided")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="all where none is named")
    names = parser.parse_args().names or NAMES
    torch.set_num_threads(1)
    print(f"minipose {minipose.__version__}, torch {torch.__version__}, Python {platform.python_version()},")
    print(f"{platform.machine()} {platform.system()}, {datetime.date.today()}\n")
    print("| what | found | asked | met |\n|---|---|---|---|", flush=True)
    started, met = time.perf_counter(), True
    for name in names:
        for figure in importlib.import_module(f"soak.{name}").figures():
            print(figure, flush=True)
            met &= figure.met
    print(f"\n{(time.perf_counter() - started) / 60:.0f} minutes")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
