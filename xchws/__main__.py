"""`python -m xchws` is the command `xchws`."""

from __future__ import annotations

import sys

from xchws.cli import main

if __name__ == "__main__":
    sys.exit(main())
