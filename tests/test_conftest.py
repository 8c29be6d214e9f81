"""What is said at the end of `make test` holds for all its processes."""

import os
import subprocess
import sys
from pathlib import Path

from tests.together import TOGETHER

ROOT = Path(__file__).parent.parent
SKIPS = """
import pytest

@pytest.mark.parametrize("reason", ["no time today", "there is no faketime here"])
def test_of_ours(reason):
    pytest.skip(reason)
"""


def test_a_skipped_test_fails_unless_its_reason_is_listed(tmp_path: Path) -> None:
    """In continuous integration, in whatever process it was skipped."""
    (tmp_path / "test_skipped.py").write_text(SKIPS)
    options = ["-n", "1", "-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, tmp_path],
        cwd=ROOT,
        env={**os.environ, "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 skipped" in done.stdout
    assert [line for line in done.stdout.splitlines() if "does not list" in line] == [
        "skipped for a reason that the README does not list: "
        "test_skipped.py::test_of_ours[no time today]: no time today"
    ]
    assert done.returncode == 1


def test_who_shares_something_is_there() -> None:
    """Else they would no longer be kept together, and nobody would notice."""
    for paths in TOGETHER.values():
        assert all((ROOT / path).exists() for path in paths)
