"""`python -m clients.cli` is the command too: so `up` starts its workers with its own interpreter."""

import sys

from clients.cli import main

sys.exit(main())
