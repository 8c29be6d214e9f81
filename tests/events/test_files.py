"""Files that are there wholly or not at all, whatever happens while they are made."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from events.files import beside, make_directory, write_durably


def test_bytes_first_then_the_name_then_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each durable before the next: whoever sees the name may throw away what else has the bytes."""
    done: list[tuple[str, Path]] = []
    sync, rename = os.fsync, Path.rename

    def note_sync(file: int) -> None:
        done.append(("sync", Path(f"/proc/self/fd/{file}").readlink()))
        sync(file)

    def note_rename(path: Path, target: Path) -> Path:
        done.append(("rename", path))
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "rename", note_rename)
    write_durably(tmp_path / "new", [b"one ", b"two"])
    draft = done[0][1]
    assert draft != tmp_path / "new"
    assert done == [("sync", draft), ("rename", draft), ("sync", tmp_path)]
    assert (tmp_path / "new").read_bytes() == b"one two"


def test_what_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """Nor does it touch what was there under the name."""
    (tmp_path / "new").write_bytes(b"old")

    def parts() -> Iterator[bytes]:
        yield b"one"
        raise OSError(28, "no space")

    with pytest.raises(OSError, match="no space"):
        write_durably(tmp_path / "new", parts())
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new").read_bytes() == b"old"


def test_directories_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all that lead to them."""
    synced: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink()))
    for _ in range(2):
        make_directory(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]


def test_each_log_has_its_own_place(tmp_path: Path) -> None:
    """The one that a coordinator writes has the plain name."""
    assert beside(tmp_path / "log.sqlite3", "archive") == tmp_path / "archive"
    assert beside(tmp_path / "copy.sqlite3", "archive") == tmp_path / "copy.archive"
