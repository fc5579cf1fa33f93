"""The command ``astrodlkit`` as ``python -m astrodlkit``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
