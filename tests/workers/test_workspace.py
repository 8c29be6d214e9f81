"""What a job finds in its directory, what it may write there, and that the next one finds nothing of it."""

import os
from pathlib import Path

import pytest

from clients.archive import UnsafeArchive
from workers.workspace import BadPath, Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "trash").mkdir()
    return Workspace(tmp_path / "slot", tmp_path / "trash")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "cached"
    file.write_bytes(b"source")
    return file


def test_sources_are_copied_to_their_paths(workspace: Workspace, source: Path) -> None:
    """Directories are made as needed; a job that writes to its source writes to nobody else's."""
    workspace.lay_out([(source, "a/b/c.h"), (source, "main.c")], source=True, output=True)
    (workspace.source / "main.c").write_bytes(b"changed")
    assert (workspace.source / "a/b/c.h").read_bytes() == b"source"
    assert source.read_bytes() == b"source"
    assert list(workspace.output.iterdir()) == []


def test_scripts_stay_executable(workspace: Workspace, source: Path) -> None:
    """The cache knows which sources can be run, and the copies follow it."""
    source.chmod(0o755)
    workspace.lay_out([(source, "run")], source=True, output=False)
    assert os.access(workspace.source / "run", os.X_OK)


def test_nothing_is_made_that_is_not_asked_for(workspace: Workspace) -> None:
    """A job without sources or output costs no directory."""
    workspace.lay_out([], source=False, output=False)
    assert workspace.is_clean


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", "a//b", "a/./b", "a\0b", "x" * 300])
def test_a_source_stays_below_the_source_directory(workspace: Workspace, source: Path, path: str) -> None:
    """A path that leads out, or that could be read in two ways, fails the job."""
    with pytest.raises(BadPath):
        workspace.lay_out([(source, path)], source=True, output=False)
    assert sorted(entry.name for entry in workspace.root.parent.iterdir()) == ["cached", "slot", "trash"]


def test_two_sources_cannot_have_one_path(workspace: Workspace, source: Path) -> None:
    """Neither the same path twice nor a file where another needs a directory."""
    with pytest.raises(BadPath, match="two sources"):
        workspace.lay_out([(source, "a"), (source, "a")], source=True, output=False)
    workspace.clear()
    with pytest.raises(BadPath, match="two sources"):
        workspace.lay_out([(source, "a"), (source, "a/b")], source=True, output=False)


def test_working_directories(workspace: Workspace, source: Path, tmp_path: Path) -> None:
    """By default where the sources are, if there are any; else inside, or in a dependency's artifact."""
    assert workspace.working_directory("", []) == workspace.root
    workspace.lay_out([(source, "a/b")], source=True, output=True)
    artifact = tmp_path / "artifact"
    assert workspace.working_directory("", []) == workspace.source
    assert workspace.working_directory("a", []) == workspace.source / "a"
    assert workspace.working_directory(str(workspace.output), []) == workspace.output
    assert workspace.working_directory(str(artifact / "x"), [str(artifact)]) == artifact / "x"


@pytest.mark.parametrize("path", ["/", "/tmp", "..", "../..", "a/../../.."])
def test_working_directories_outside_are_refused(workspace: Workspace, path: str) -> None:
    """The message says which."""
    with pytest.raises(BadPath, match="outside the job's workspace"):
        workspace.working_directory(path, ["/nonexistent"])


def test_files_are_written_inside_only(workspace: Workspace, tmp_path: Path) -> None:
    """Also not through a link that the job has made, to a file or to a directory."""
    workspace.lay_out([], source=True, output=True)
    workspace.write(str(workspace.output / "x"), workspace.source, b"1")
    workspace.write("y", workspace.source, b"2")
    workspace.write("y", workspace.source, b"3")
    assert (workspace.output / "x").read_bytes() + (workspace.source / "y").read_bytes() == b"13"
    (workspace.output / "up").symlink_to(tmp_path)
    (workspace.output / "file").symlink_to(tmp_path / "victim")
    for path in (tmp_path / "victim", workspace.output / "up" / "victim"):
        with pytest.raises(BadPath):
            workspace.write(str(path), workspace.source, b"evil")
    with pytest.raises(OSError, match="symbolic links"):
        workspace.write(str(workspace.output / "file"), workspace.source, b"evil")
    assert not (tmp_path / "victim").exists()


def test_writing_to_a_named_pipe_does_not_wait(workspace: Workspace) -> None:
    """A pipe without a reader is an error, not a reason to hang."""
    workspace.lay_out([], source=False, output=True)
    os.mkfifo(workspace.output / "pipe")
    with pytest.raises(OSError, match="No such device"):
        workspace.write("output/pipe", workspace.root, b"x")


def test_output_is_measured(workspace: Workspace) -> None:
    """An empty output directory is an artifact without a directory."""
    assert workspace.take_output() == (None, 0)
    workspace.lay_out([], source=False, output=True)
    assert workspace.take_output() == (None, 0)
    (workspace.output / "x").write_bytes(b"123")
    assert workspace.take_output() == (workspace.output, 3)


def test_output_that_cannot_travel_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    """What a job makes must be something that others can be given."""
    workspace.lay_out([], source=False, output=True)
    (workspace.output / "link").symlink_to("/etc/hostname")
    with pytest.raises(UnsafeArchive, match="outside"):
        workspace.take_output()
    workspace.clear()
    workspace.output.symlink_to(tmp_path)
    with pytest.raises(UnsafeArchive, match="in place of its output"):
        workspace.take_output()


def test_clearing_leaves_nothing_and_follows_no_link(workspace: Workspace, tmp_path: Path) -> None:
    """Whatever the job has done to its directories and their modes."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x")
    deep = workspace.root / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"x")
    (deep / "link").symlink_to(outside)
    deep.chmod(0o000)
    workspace.root.chmod(0o500)
    workspace.clear()
    assert workspace.is_clean
    assert (outside / "precious").exists()


def test_a_job_may_remove_its_own_workspace(workspace: Workspace) -> None:
    """The next one gets a new one."""
    workspace.root.rmdir()
    assert not workspace.is_clean
    workspace.clear()
    assert workspace.is_clean
