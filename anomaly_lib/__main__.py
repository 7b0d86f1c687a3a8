"""``python -m anomaly_lib``: the command line."""

import sys

from anomaly_lib.cli import main

if __name__ == "__main__":
    sys.exit(main())
