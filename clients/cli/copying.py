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
from clients.cli.api import Api, JobInfo
from clients.cli.sanitise import Sanitiser
from events.transitions import JOB_ENDED

GIVE_UP_SECONDS = 300.0
# A job may be silent for long; the connection is then renewed, and what came meanwhile is not lost.
SILENCE_SECONDS = 600.0
AGAIN_SECONDS = 0.5


async def copy(api: Api, build: str, job: str, streams: Sequence[str], *, follow: bool, as_json: bool) -> int:
    """Print what the job printed; followed, both streams at once until the job has ended."""
    identifier = await api.find_build(build)
    found = await api.find_job(identifier, job)
    source = Source(api, identifier, found, follow=follow)
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
        # Bytes of this attempt so far.
        self.size = 0
        self._attempt = 1
        self._stream = stream
        self._file = file
        self._as_json = as_json
        self._sanitiser = Sanitiser(colour=True) if is_tty else None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __call__(self, data: bytes) -> None:
        if self._as_json:
            place = {"stream": self._stream, "attempt": self._attempt, "offset": self.size}
            printing.as_json(place | {"bytes": len(data), "text": self._decoder.decode(data)})
        else:
            self._put(self._sanitiser.feed(data).encode() if self._sanitiser else data)
        self.size += len(data)

    def begin(self, attempt: int) -> None:
        """What comes now is another attempt's output, from its first byte."""
        if not self._as_json:
            printing.note(f"{self._stream} of attempt {attempt}; the one before was lost")
        self._attempt, self.size = attempt, 0
        self._decoder.reset()

    def close(self) -> None:
        if self._sanitiser and not self._as_json:
            self._put(self._sanitiser.close().encode())

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()


class Source:
    """The output of one job: after an outage on from the same byte, after a lost attempt the next one's."""

    def __init__(
        self, api: Api, build: str, job: JobInfo, *, follow: bool, chance: random.Random | None = None
    ) -> None:
        self._api = api
        self._build = build
        self._job = job
        self._follow = follow
        self._chance = chance or random.Random()  # noqa: S311  delays, not secrets

    async def copy(self, stream: str, write: Writer) -> None:
        """Write the whole stream. Raises `Unreachable` after minutes without a connection."""
        backoff = Backoff(self._chance, seconds=GIVE_UP_SECONDS)
        attempt = max(1, self._job.attempt)
        while True:
            try:
                is_over = await self._copy_once(stream, write, backoff)
                job = await self._look() if is_over and self._follow else self._job
            except wire.Unreachable:
                delay = backoff.next_delay(trio.current_time())
                if delay is None:
                    raise
                await trio.sleep(delay)
                continue
            if self._follow and job.attempt > attempt:
                attempt = job.attempt
                write.begin(attempt)
            elif is_over and (not self._follow or job.state in JOB_ENDED):
                break
            elif is_over:
                await trio.sleep(AGAIN_SECONDS)  # a coordinator that stops ends its streams too
        write.close()

    async def _copy_once(self, stream: str, write: Writer, backoff: Backoff) -> bool:
        with trio.move_on_after(SILENCE_SECONDS) as silence:
            async with self._api.output(
                self._build, self._job.id, stream, offset=write.size, follow=self._follow
            ) as response:
                async for chunk in response:
                    backoff.reset()
                    silence.deadline = trio.current_time() + SILENCE_SECONDS
                    write(chunk)
        if silence.cancelled_caught:
            backoff.reset()  # there was a connection, it just had nothing to say
        return not silence.cancelled_caught

    async def _look(self) -> JobInfo:
        jobs = (await self._api.build(self._build)).jobs
        return next((job for job in jobs if job.id == self._job.id), self._job)


def writer(stream: str, wanted: Sequence[str], *, as_json: bool) -> Writer:
    """A single stream goes to stdout whatever its name, since it is the result."""
    file = sys.stderr if stream == "stderr" and len(wanted) > 1 else sys.stdout
    return Writer(stream, file.buffer, as_json=as_json, is_tty=file.isatty())
