"""``python -m archindex`` is the command line."""

import sys

from archindex.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
