"""The command line: minipose predict | train | evaluate | data | export."""

from minipose.cli.commands import main

__all__ = ["main"]
