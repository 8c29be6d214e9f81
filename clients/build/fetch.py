"""Artifacts on their way from wherever they lie into the directory where the user wants them.

Each goes to a directory of its own, named after its job. An earlier build's is replaced; anything that
was not made here is never touched, because a job may well be called like the user's own directory.
"""

import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import trio

from clients import archive, wire
from clients.archive import RunSync
from clients.backoff import persist
from clients.build.parallel import for_each
from clients.distbuild import Job
from clients.wire.origins import Origins, get_following
from events.ids import BuildId

FETCHES_AT_ONCE = 4
ANSWER_SECONDS = 30.0
STALL_SECONDS = 60.0
PATIENCE_SECONDS = 20.0
MANIFEST = ".terzetto-artifacts"
NAME_BYTES_MAX = 200
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f/]")


class OutOccupied(Exception):
    """Something in the out directory that no build made has the name of an artifact's directory."""


def roots(jobs: Iterable[Job]) -> list[Job]:
    """The jobs that no other job depends on."""
    jobs = list(jobs)
    needed = {dep for job in jobs for dep in job.deps}
    return [job for job in jobs if job.id not in needed]


def places(jobs: Iterable[Job]) -> dict[str, str]:
    """The directory name of each job, by its id: unlike any other's, and never leading anywhere else."""
    named = [(job.id, _place(job)) for job in jobs]
    counts = Counter(name for _, name in named)
    return {id_: name if counts[name] == 1 else f"{name}.{id_[:12]}" for id_, name in named}


def _place(job: Job) -> str:
    name = _UNPRINTABLE.sub("_", job.name)
    is_usable = name not in ("", ".", "..", MANIFEST) and len(os.fsencode(name)) <= NAME_BYTES_MAX
    return name if is_usable else job.id


class OutDirectory:
    """Where artifacts go; a file in it lists the directories that were made by us. Blocking."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self, names: Iterable[str]) -> None:
        """Make the directory. Raises `OutOccupied`, or OSError."""
        self.path.mkdir(parents=True, exist_ok=True)
        ours = self._ours()
        for name in names:
            if os.path.lexists(self.path / name) and name not in ours:
                raise OutOccupied(f"{self.path / name} exists, and no build made it")

    def reserve(self, name: str) -> Path:
        """A place beside `name` where an artifact may be unpacked; nothing is there."""
        reserved = self._beside(name, "new")
        shutil.rmtree(reserved, ignore_errors=True)
        return reserved

    def install(self, name: str) -> Path:
        """What was unpacked at the reserved place becomes `name`, in place of an earlier one."""
        self.prepare([name])
        if name not in self._ours():
            # Listed before it is there: a crash in between must not make it look like the user's own.
            with (self.path / MANIFEST).open("a") as manifest:
                manifest.write(f"{name}\n")
        destination, old = self.path / name, self._beside(name, "old")
        shutil.rmtree(old, ignore_errors=True)
        if os.path.lexists(destination):
            destination.rename(old)
        self._beside(name, "new").rename(destination)
        shutil.rmtree(old, ignore_errors=True)
        return destination

    def _beside(self, name: str, role: str) -> Path:
        return self.path / f".{name}.terzetto-{role}"

    def _ours(self) -> set[str]:
        try:
            return set((self.path / MANIFEST).read_text().splitlines())
        except FileNotFoundError:
            return set()


class Fetcher:
    """Brings the artifacts of one build into `out`."""

    def __init__(
        self,
        client: wire.Client,
        origins: Origins,
        out: OutDirectory,
        *,
        chance: random.Random,
        run_sync: RunSync = trio.to_thread.run_sync,
    ) -> None:
        self.fetched: list[Path] = []
        self.unfetched: list[str] = []
        self._client = client
        self._origins = origins
        self._out = out
        self._chance = chance
        self._run_sync = run_sync

    async def fetch(self, build: BuildId, names: dict[str, str], tell: Callable[[str, Path], None]) -> None:
        """Fetch each job of `names` to its place; what fails is noted in `unfetched`, the rest goes on.

        `tell(job, path)` hears of each that has come.
        """

        async def fetch_one(job: str) -> None:
            try:
                path = await persist(
                    partial(self._fetch_one, build, job, names[job]),
                    chance=self._chance,
                    seconds=PATIENCE_SECONDS,
                )
            except (wire.Unreachable, wire.Refused, archive.UnsafeArchive, OutOccupied, OSError) as error:
                self.unfetched.append(f"{names[job]}: {error}")
            else:
                self.fetched.append(path)
                tell(job, path)

        await for_each(names, fetch_one, at_once=FETCHES_AT_ONCE)

    async def _fetch_one(self, build: BuildId, job: str, name: str) -> Path:
        target = f"/api/builds/{build}/artifacts/{job}"
        reserved = await self._run_sync(partial(self._out.reserve, name))
        async with get_following(
            self._client, target, origins=self._origins, timeout_seconds=ANSWER_SECONDS
        ) as response:
            await response.require(200)
            await archive.unpack(_Steady(response), reserved, run_sync=self._run_sync)
        return await self._run_sync(partial(self._out.install, name))


class _Steady:
    """The chunks of an answer, each of which must come in time."""

    def __init__(self, response: wire.Response) -> None:
        self._response = response

    def __aiter__(self) -> "_Steady":
        return self

    async def __anext__(self) -> bytes:
        with trio.move_on_after(STALL_SECONDS):
            return await anext(self._response)
        raise wire.Unreachable(f"the artifact stalled for {STALL_SECONDS:g} s")
