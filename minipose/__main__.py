"""python -m minipose: the command line."""

import sys

from minipose.cli import main

sys.exit(main())
