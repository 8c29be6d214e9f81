"""What several tests of the command are given."""

from pathlib import Path

import pytest

from tests.clients.cli import nightly


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The graph of a small build, beside its source file."""
    return nightly.write(tmp_path)
