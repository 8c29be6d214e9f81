"""`terzetto`, with a coordinator that shows signs of life so often that a test can wait for some."""

import sys
from functools import partial

from clients.cli import main
from coordinator import config

PROGRESS_SECONDS = 0.3

if __name__ == "__main__":
    config.CoordinatorConfig = partial(config.CoordinatorConfig, progress_seconds=PROGRESS_SECONDS)  # type: ignore[assignment,misc]  # in place of the class, for whoever makes one
    sys.exit(main())
