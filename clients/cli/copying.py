"""A job's output, from the coordinator's disk to wherever our own goes."""

import codecs
import random
import sys
from collections.abc import Sequence
from typing import BinaryIO

import trio

from clients import wire
from clients.backoff import Backoff
from clients.cli import printing
from clients.cli.api import Api
from clients.cli.sanitise import Sanitiser
from events.transitions import JOB_ENDED

GIVE_UP_SECONDS = 300.0
# A job may be silent for long; the connection is then renewed, and what came meanwhile is not lost.
SILENCE_SECONDS = 600.0


async def copy(api: Api, build: str, job: str, streams: Sequence[str], *, follow: bool, as_json: bool) -> int:
    """Print what the job printed; followed, both streams at once until the job has ended."""
    identifier = await api.find_build(build)
    found = await api.find_job(identifier, job)
    source = Source(api, identifier, found.id, follow=follow)
    writers = {stream: writer(stream, streams, as_json=as_json) for stream in streams}
    if not follow:
        for stream in streams:
            await source.copy(stream, writers[stream])
        return 0
    async with trio.open_nursery() as nursery:
        for stream in streams:
            nursery.start_soon(source.copy, stream, writers[stream])
    return 0


class Writer:
    """One stream's way out: as bytes, made harmless for a terminal, or as lines of JSON."""

    def __init__(self, stream: str, file: BinaryIO, *, as_json: bool, is_tty: bool) -> None:
        self.size = 0
        self._stream = stream
        self._file = file
        self._as_json = as_json
        self._sanitiser = Sanitiser(colour=True) if is_tty else None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __call__(self, data: bytes) -> None:
        if self._as_json:
            text = self._decoder.decode(data)
            printing.as_json({"stream": self._stream, "offset": self.size, "bytes": len(data), "text": text})
        else:
            self._put(self._sanitiser.feed(data).encode() if self._sanitiser else data)
        self.size += len(data)

    def close(self) -> None:
        if self._sanitiser and not self._as_json:
            self._put(self._sanitiser.close().encode())

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()


class Source:
    """The output of one job; where a connection breaks, the next one goes on at the same byte."""

    def __init__(
        self, api: Api, build: str, job: str, *, follow: bool, chance: random.Random | None = None
    ) -> None:
        self._api = api
        self._build = build
        self._job = job
        self._follow = follow
        self._chance = chance or random.Random()  # noqa: S311  delays, not secrets

    async def copy(self, stream: str, write: Writer) -> None:
        """Write the whole stream. Raises `Unreachable` after minutes without a connection."""
        backoff = Backoff(self._chance, seconds=GIVE_UP_SECONDS)
        has_ended = False
        while not has_ended:
            try:
                has_ended = await self._copy_once(stream, write, backoff) and await self._has_ended()
            except wire.Unreachable:
                delay = backoff.next_delay(trio.current_time())
                if delay is None:
                    raise
                await trio.sleep(delay)
        write.close()

    async def _copy_once(self, stream: str, write: Writer, backoff: Backoff) -> bool:
        with trio.move_on_after(SILENCE_SECONDS) as silence:
            async with self._api.output(
                self._build, self._job, stream, offset=write.size, follow=self._follow
            ) as response:
                async for chunk in response:
                    backoff.reset()
                    silence.deadline = trio.current_time() + SILENCE_SECONDS
                    write(chunk)
        if silence.cancelled_caught:
            backoff.reset()  # there was a connection, it just had nothing to say
        return not silence.cancelled_caught

    async def _has_ended(self) -> bool:
        """Is the end of the stream the end of the job? A coordinator that stops ends its streams too."""
        if not self._follow:
            return True
        jobs = (await self._api.build(self._build)).jobs
        return any(job.id == self._job and job.state in JOB_ENDED for job in jobs)


def writer(stream: str, wanted: Sequence[str], *, as_json: bool) -> Writer:
    """A single stream goes to stdout whatever its name, since it is the result."""
    file = sys.stderr if stream == "stderr" and len(wanted) > 1 else sys.stdout
    return Writer(stream, file.buffer, as_json=as_json, is_tty=file.isatty())
