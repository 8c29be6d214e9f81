"""Where things are kept when nobody says where."""

import os
from collections.abc import Mapping
from pathlib import Path


def state(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's directory for what must survive but is no document: `~/.local/state/terzetto`."""
    base = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", ".")) / ".local" / "state")
    return Path(base) / "terzetto"
