"""``python -m gradcon``: the command line for images of one's own."""

import sys

from gradcon.inspection.command import main

if __name__ == "__main__":
    sys.exit(main())
