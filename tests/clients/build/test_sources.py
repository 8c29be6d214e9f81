"""Sources on their way up: only what the graph may name, whole or not at all."""

import os
import random
from pathlib import Path

import pytest

from clients.build.sources import WHOLE_BYTES_MAX, Sources, SourceUnusable
from clients.codec import Malformed
from clients.distbuild_client import DistbuildClient
from clients.wire import Client
from tests.clients.coordinators import ScriptedCoordinator
from tests.clients.peers import serving

A = "a" * 40


async def upload(root: Path, files: dict[str, str], missing: tuple[str, ...]) -> dict[str, bytes]:
    """What arrives at the coordinator."""
    coordinator, told = ScriptedCoordinator(), []
    async with serving(coordinator) as url, Client(url) as client:
        await Sources(root, files).upload(
            missing,
            DistbuildClient(client),
            chance=random.Random(1),
            patience_seconds=1,
            tell=lambda done, total: told.append((done, total)),
        )
    assert told == [(number, len(missing)) for number in range(1, len(missing) + 1)]
    return coordinator.files


async def test_many_files_of_all_sizes(tmp_path: Path) -> None:
    """Only what is missing goes up, each file with all its bytes."""
    sizes = [0, 1, WHOLE_BYTES_MAX, WHOLE_BYTES_MAX + 1, 3_000_000, *range(2, 30)]
    files = {f"{number:040x}": f"dir/{number}" for number in range(len(sizes))}
    (tmp_path / "dir").mkdir()
    for number, size in enumerate(sizes):
        (tmp_path / f"dir/{number}").write_bytes(bytes([number]) * size)
    missing = tuple(list(files)[:-1])
    arrived = await upload(tmp_path, files, missing)
    assert set(arrived) == set(missing)
    for number, id_ in enumerate(missing):
        assert arrived[id_] == bytes([number]) * sizes[number]


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../secret"])
async def test_paths_that_lead_outside(tmp_path: Path, path: str) -> None:
    """A graph from elsewhere cannot make us send what is not a source."""
    (tmp_path / "secret").write_text("key")
    (tmp_path / "root/a").mkdir(parents=True)
    with pytest.raises(SourceUnusable, match="outside the source directory"):
        await upload(tmp_path / "root", {A: path}, (A,))


async def test_what_is_no_file(tmp_path: Path) -> None:
    """A named pipe would keep us waiting for its writer; a directory has no bytes."""
    os.mkfifo(tmp_path / "pipe")
    for path in ("pipe", "."):
        with pytest.raises(SourceUnusable, match="is not a regular file"):
            await upload(tmp_path, {A: path}, (A,))


async def test_an_unknown_id(tmp_path: Path) -> None:
    """A coordinator that asks for what the graph does not have is not understood."""
    with pytest.raises(Malformed, match="does not name"):
        await upload(tmp_path, {}, (A,))


async def test_a_file_that_changes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is shorter than it was when looked at is not sent as if it were whole."""
    (tmp_path / "big").write_bytes(b"x" * 2_000_000)
    monkeypatch.setattr("clients.build.sources._look", lambda path: (2_000_001, None))
    with pytest.raises(SourceUnusable, match="changed while it was sent"):
        await upload(tmp_path, {A: "big"}, (A,))
