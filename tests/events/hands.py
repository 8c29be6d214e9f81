"""Workers as the state machine plays them: what each runs and holds, and what it therefore reports."""

from collections.abc import Collection, Iterable
from typing import Any

from attrs import Factory, define

from events.catalog import JobLeased, Record
from events.commands import Heartbeat, Result
from events.ids import JobId, LeaseId, SpecDigest, WorkerId
from events.state import State

# Workers of ours have a container engine.
ENGINE = {"engine": "docker"}


@define
class Hand:
    """One worker process. `mute` ones never say what they run, as some distbuild workers do not."""

    id: WorkerId
    native: bool
    mute: bool = False
    slots: int = 2
    life: int = 0
    runs: dict[JobId, LeaseId] = Factory(dict)
    digests: dict[JobId, SpecDigest] = Factory(dict)
    holds: dict[JobId, SpecDigest] = Factory(dict)
    news: dict[JobId, None] = Factory(dict)

    def report(
        self, finished: Collection[JobId] = (), dropped: Iterable[JobId] = (), error: str | None = None
    ) -> Heartbeat:
        """What it says now; `finished` are those of its jobs that have just ended."""
        results = tuple(self._result(job, error) for job in finished)
        for job in finished:
            del self.runs[job]
            if error is None:
                self.holds[job] = self.digests[job]
                self.news[job] = None
        gone = tuple(job for job in dropped if self.holds.pop(job, None) is not None)
        added = tuple(job for job in self.news if job in self.holds)
        self.news.clear()
        named: tuple[str, ...] = tuple(self.runs.values() if self.native else self.runs)
        extra: dict[str, Any] = (
            {"session": str(self.life), "slots": self.slots, "native": True, "labels": ENGINE}
            if self.native
            else {}
        )
        if self.native:
            extra["digests"] = {job: self.holds[job] for job in added}
        return Heartbeat(
            worker=self.id,
            slots_free=max(0, self.slots - len(self.runs)),
            running=None if self.mute or (not self.native and not named) else named,
            finished=results,
            added=added,
            dropped=gone,
            **extra,
        )

    def take(self, state: State, records: Iterable[Record]) -> None:
        """The answer arrived: leases that it did not name, and for ours those it must let go of."""
        for job, lease in state.leases_of.get(self.id, {}).items():
            if not self.mute or lease in _new(records):
                self.runs[job] = lease
                self.digests[job] = state.leases[lease].digest
        revoked = state.revoked.get(self.id, {})
        self.runs = {job: lease for job, lease in self.runs.items() if lease not in revoked}

    def restart(self) -> None:
        """A new process with an empty disk."""
        self.life += 1
        self.runs.clear()
        self.holds.clear()
        self.news.clear()

    def _result(self, job: JobId, error: str | None) -> Result:
        lease = self.runs[job] if self.native else LeaseId("")
        return Result(job=job, lease=lease, error=error, exit_code=0 if error is None else 1)


def _new(records: Iterable[Record]) -> set[LeaseId]:
    return {record.event.lease for record in records if isinstance(record.event, JobLeased)}
