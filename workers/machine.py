"""What a worker holds and owes, as a pure machine: heartbeats' answers and ended jobs in, decisions out.

No trio, no clock, no disk. It decides what to start and what to stop, and what the next heartbeat says.
Two things can go wrong on the way, and both are answered here: a heartbeat may not have been received,
so what it reported is reported again until one was answered; and its answer may get lost, so a lease
that is given twice is started once.

A job is known by its *key*: its lease, or under a coordinator that knows no leases (one that is not
ours) the job's own id.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import NewType

from attrs import define, field, frozen

from clients.distbuild import HeartbeatRequest, HeartbeatResponse, JobResult, JobSpec
from events.ids import JobId, WorkerId

Key = NewType("Key", str)

# A heartbeat stays small enough to be decoded in passing; what does not fit goes with the next one.
RESULT_BYTES_MAX = 256 << 10
RESULTS_MAX = 1000
# So often a result on its own must be refused before it is taken for the cause.
REFUSALS_MAX = 3
ARTIFACTS_MAX = 2000
# Results kept for coordinators that ask again for a job that they had done already.
REMEMBERED_MAX = 10_000
# Of very short jobs we ask for some more than there are slots, enough to be busy while a heartbeat is
# on its way.
AHEAD_SECONDS = 0.05
AHEAD_MAX = 32


def key_of(spec: JobSpec) -> Key:
    return Key(spec.lease or spec.id)


@frozen
class Start:
    """Run this job now: there is a slot for it."""

    spec: JobSpec

    @property
    def key(self) -> Key:
        return key_of(self.spec)


@frozen
class Stop:
    """Kill this job; nobody wants its result."""

    key: Key


Decision = Start | Stop


@define(eq=False)
class Machine:
    """The state of one worker in one life; `session` names that life."""

    worker: WorkerId
    slots: int
    session: str
    labels: Mapping[str, str] = {}
    # Set once an answer showed that the coordinator knows leases: it is one of ours.
    is_native: bool = False
    is_draining: bool = False
    _running: dict[Key, JobSpec] = field(factory=dict, init=False)
    _waiting: dict[Key, JobSpec] = field(factory=dict, init=False)
    _stopping: set[Key] = field(factory=set, init=False)
    _finished: dict[Key, JobResult] = field(factory=dict, init=False)
    _remembered: OrderedDict[JobId, JobResult] = field(factory=OrderedDict, init=False)
    _added: dict[JobId, str] = field(factory=dict, init=False)
    _dropped: dict[JobId, None] = field(factory=dict, init=False)
    _must_introduce: bool = field(default=True, init=False)
    _results_max: int = field(default=RESULTS_MAX, init=False)
    _refusals: int = field(default=0, init=False)
    # Mean run time of recent jobs; None until one has ended.
    _seconds: float | None = field(default=None, init=False)

    @property
    def has_news(self) -> bool:
        """Is there anything that the coordinator should hear of at once?"""
        return bool(self._finished or self._added or self._dropped)

    @property
    def is_busy(self) -> bool:
        return bool(self._running or self._waiting)

    @property
    def running(self) -> tuple[Key, ...]:
        return tuple(self._running)

    def request(self) -> HeartbeatRequest:
        """What to report now; nothing of it is forgotten before `answered` is called with it."""
        results = self._next_results()
        held = {**self._running, **self._waiting}
        # A result that does not fit is as good as a job at work: the lease is not to be given again.
        unsaid = [result for key, result in self._finished.items() if key not in results]
        added = dict(islice(self._added.items(), ARTIFACTS_MAX))
        return HeartbeatRequest(
            worker_id=self.worker,
            running_jobs=(*(spec.id for spec in held.values()), *(result.id for result in unsaid)),
            running_leases=(
                *(spec.lease for spec in held.values() if spec.lease),
                *(result.lease for result in unsaid if result.lease),
            ),
            free_slots=self._room(),
            finished_job=tuple(results.values()),
            added_artifacts=tuple(added),
            artifact_digests={job: digest for job, digest in added.items() if digest},
            dropped_artifacts=tuple(self._dropped),
            session=self.session,
            slots=self.slots if self._must_introduce else 0,
            labels=dict(self.labels) if self._must_introduce else {},
            draining=self.is_draining,
        )

    def answered(
        self,
        request: HeartbeatRequest,
        response: HeartbeatResponse,
        held: Callable[[], Mapping[JobId, str]],
    ) -> list[Decision]:
        """The coordinator took `request` and answered; `held()` gives all artifacts here, with digests."""
        self._acknowledge(request)
        if response.unknown_session:
            self._must_introduce = True
            self._added = dict(held())
            self._dropped.clear()
        # A lease that this very heartbeat answered is over, whatever the coordinator says.
        over = {result.lease for result in request.finished_job if result.lease}
        specs = [spec for spec in response.jobs_to_run.values() if spec.lease not in over]
        if response.unknown_session or response.revoked_leases or any(spec.lease for spec in specs):
            self.is_native = True
        decisions: list[Decision] = list(self._revoke(response.revoked_leases))
        if not self.is_draining:
            for spec in specs:
                self._take(spec)
        return [*decisions, *self._starts()]

    def refused(self, request: HeartbeatRequest, reason: str) -> None:
        """The coordinator rejected `request` as such: find the result that it cannot take, and replace it.

        Not at the first refusal, since others answer 400 to what is no fault of ours, too.
        """
        if len(request.finished_job) > 1:
            self._results_max = 1
        elif request.finished_job:
            self._refusals += 1
            if self._refusals >= REFUSALS_MAX:
                self._replace(request.finished_job[0], reason)

    def finished(self, key: Key, result: JobResult | None, seconds: float) -> list[Start]:
        """A job has ended after `seconds`, without a result if it was stopped; its slot is free again."""
        spec = self._running.pop(key)
        if key in self._stopping:
            self._stopping.remove(key)
        elif result is not None:
            self._finished[key] = result
            self._seconds = seconds if self._seconds is None else 0.8 * self._seconds + 0.2 * seconds
            if not spec.lease and result.error is None:
                self._remember(JobId(spec.id), result)
                self._tell_again(JobId(spec.id))
        return list(self._starts())

    def artifact_changed(self, job: JobId, digest: str | None) -> None:
        """An artifact is there, with the digest of its spec; or gone (None)."""
        if digest is None:
            self._added.pop(job, None)
            self._dropped[job] = None
            self._remembered.pop(job, None)
        else:
            self._dropped.pop(job, None)
            self._added[job] = digest

    def relabel(self, labels: Mapping[str, str]) -> None:
        """What it is known by has changed, and is said again."""
        self.labels = labels
        self._must_introduce = True

    def drain(self) -> list[Stop]:
        """Take no more jobs and let go of those at work; what has ended is still reported."""
        self.is_draining = True
        self._waiting.clear()
        self._stopping.update(self._running)
        return [Stop(key) for key in self._running]

    def _replace(self, result: JobResult, reason: str) -> None:
        self._refusals = 0
        self._finished[Key(result.lease or result.id)] = JobResult(
            id=result.id,
            lease=result.lease,
            exit_code=-1,
            error=f"the coordinator refused the job's result: {reason}",
        )

    def _next_results(self) -> dict[Key, JobResult]:
        chosen: dict[Key, JobResult] = {}
        size = 0
        for key, result in self._finished.items():
            size += len(result.stdout or "") + len(result.stderr or "")
            if chosen and (size > RESULT_BYTES_MAX or len(chosen) >= self._results_max):
                break
            chosen[key] = result
        return chosen

    def _room(self) -> int:
        if self.is_draining:
            return 0
        return max(0, self.slots + self._ahead() - len(self._running) - len(self._waiting))

    def _ahead(self) -> int:
        is_flowing = self.is_busy or self._finished
        if not self.is_native or not is_flowing or self._seconds is None or self._seconds > AHEAD_SECONDS:
            return 0
        return min(AHEAD_MAX, int(self.slots * AHEAD_SECONDS / max(self._seconds, 1e-4)))

    def _acknowledge(self, request: HeartbeatRequest) -> None:
        for result in request.finished_job:
            key = Key(result.lease or result.id)
            if self._finished.get(key) is result:
                del self._finished[key]
        self._refusals = 0
        self._results_max = RESULTS_MAX if not request.finished_job else self._results_max
        for job in request.added_artifacts:
            if self._added.get(JobId(job)) == request.artifact_digests.get(job, ""):
                del self._added[JobId(job)]
        for job in request.dropped_artifacts:
            self._dropped.pop(JobId(job), None)
        if request.slots:
            self._must_introduce = False

    def _revoke(self, leases: tuple[str, ...]) -> Iterator[Stop]:
        for lease in leases:
            key = Key(lease)
            self._finished.pop(key, None)
            self._waiting.pop(key, None)
            if key in self._running and key not in self._stopping:
                self._stopping.add(key)
                yield Stop(key)

    def _take(self, spec: JobSpec) -> None:
        key = key_of(spec)
        if key in self._running or key in self._waiting or key in self._finished:
            return  # the answer to an earlier heartbeat got lost, or crossed our report
        known = None if spec.lease else self._remembered.get(JobId(spec.id))
        if known is not None:
            self._finished[key] = known
            self._tell_again(JobId(spec.id))
        else:
            self._waiting[key] = spec

    def _starts(self) -> Iterator[Start]:
        while self._waiting and len(self._running) < self.slots:
            key = next(iter(self._waiting))
            spec = self._running[key] = self._waiting.pop(key)
            yield Start(spec)

    def _tell_again(self, job: JobId) -> None:
        """Announce the artifact of a job that was asked for, even if it was here before.

        A coordinator that is not ours and was started anew has forgotten where it is.
        """
        if job not in self._dropped:
            self._added.setdefault(job, "")

    def _remember(self, job: JobId, result: JobResult) -> None:
        self._remembered[job] = result
        self._remembered.move_to_end(job)
        while len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
