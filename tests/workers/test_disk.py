"""Locks and deletion."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workers.disk import Locked, boot_id, delete, locked

HOLD = """\
import sys
from pathlib import Path
from workers.disk import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_workers_cannot_share_a_directory(tmp_path: Path) -> None:
    """The second one is told who is there; when the first has gone, even by a kill, it may have it."""
    argv = [sys.executable, "-c", HOLD, str(tmp_path / "data")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Locked, match=rf"in use by process {holder.pid}"), locked(tmp_path / "data"):
            raise AssertionError("two at once")
        holder.kill()
    with locked(tmp_path / "data"):
        assert (tmp_path / "data" / "lock").read_text() == str(os.getpid())


def test_deleting_ends_and_follows_no_link(tmp_path: Path) -> None:
    """Files, trees, links, things that are not there, and trees without rights."""
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "file").write_bytes(b"x")
    (tree / "a" / "b").chmod(0)
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("tree", "link", "nothing"):
        delete(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_the_boot_has_a_name() -> None:
    """The same for as long as the machine runs."""
    assert len(boot_id()) == 36
    assert boot_id() == boot_id()
