"""``python -m gricol_zoo`` is the same as ``gricol-zoo``."""

import sys

from gricol_zoo.cli import main

if __name__ == "__main__":
    sys.exit(main())
