"""python -m minipose_book: the command line of the book."""

import sys

from minipose_book.cli import main

sys.exit(main())
