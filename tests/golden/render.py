"""State as text that a person can review in a diff."""

from collections.abc import Iterable, Iterator

from events.ids import BuildId, LeaseId
from events.model import Job
from events.queue import COMMANDS
from events.state import State


def render(state: State) -> str:
    """Everything that matters, one thing to a line."""
    lines = [f"position {state.position} at {state.at:.1f}, epoch {state.epoch}", f"{state.settings}"]
    for build in state.builds:
        lines += _build(state, build)
    lines += [
        f"source {id_[:4]}: {source.size} bytes, {source.blob[:8]}" for id_, source in state.sources.items()
    ]
    lines += [
        f"file {id_[-4:]}: source {file.source[:4]}, {file.name!r} of {file.user!r}{' *' * file.executable}"
        for id_, file in state.files.items()
    ]
    lines += _workers(state)
    for lease in state.leases.values():
        lines.append(
            f"lease {lease.id[-4:]}: job {lease.job[:4]} {lease.digest[:8]} on {lease.worker}"
            f" since {lease.leased_at:.1f} for at most {lease.seconds_max:.1f} s,"
            f" for {' '.join(build[-4:] for build in lease.builds)}"
        )
    lines += [
        f"result {job[:4]} {digest[:8]}: lease {r.lease[-4:]}" for (job, digest), r in state.results.items()
    ]
    if state.heard or state.cancelled:
        lines.append(f"typed leases {_places(state.heard)}, cancelled {_places(state.cancelled)}")
    lines += [f"request {request}" for request in state.requests.values()]
    lines += [f"number {number}: {build[-4:]}" for number, build in state.numbers.items()]
    lines.append(f"rotation {[build[-4:] for builds in state.rotation.values() for build in builds]}")
    return "\n".join(lines) + "\n"


def _places(leases: Iterable[LeaseId]) -> list[str]:
    return [lease[-4:] for lease in leases]


def _build(state: State, id_: BuildId) -> Iterator[str]:
    build, graph = state.builds[id_], state.graphs[id_]
    flags = "".join(f" {flag}" for flag in ("keep_going", "detached") if getattr(build, flag))
    yield (
        f"build {id_[-4:]} {build.name!r} {build.status}{flags}"
        f" from {build.started_at:.1f} to {build.ended_at:.1f} {build.error!r}"
        f" key={build.key!r} reused={graph.reused}"
    )
    tally = " ".join(f"{status}={count}" for status, count in graph.tally.items() if count)
    yield f"  {tally}"
    for job in graph.jobs.values():
        yield f"  {_job(job)}"
    for job_id, ran in graph.containers.items():
        yield f"  container of {job_id[:4]}: {ran.container} {ran.ports}"
    for job_id, number in graph.restarts.items():
        yield f"  {job_id[:4]} was begun anew {number} times"
    if graph.outputs is not None or id_ in state.unkept:
        yield f"  outputs {graph.outputs}"
    for kind, queue in graph.queues.items():
        if kind != COMMANDS:
            yield f"  {kind}"
        for line, jobs in queue.lines.items():
            yield f"  line {line.why} {line.worker!r}: " + ", ".join(
                f"{job[:4]}@{at:.1f}" for job, at in jobs.items()
            )


def _job(job: Job) -> str:
    deps = " ".join(dep[:4] for dep in job.spec.deps)
    return (
        f"job {job.id[:4]} ({deps}) {job.status} waits={job.waits_for}"
        f" attempt={job.attempt} losses={job.losses} digest={job.digest[:8]}"
        f" lease={job.lease[-4:]} worker={job.worker}"
        f" at {job.queued_at:.1f}/{job.started_at:.1f}/{job.ended_at:.1f} {job.note!r}"
    )


def _workers(state: State) -> Iterator[str]:
    for worker in state.workers.values():
        flags = [flag for flag in ("alive", "native", "draining", "beats") if getattr(worker, flag)]
        held = " ".join(
            f"{job[:4]}={state.holders[job][worker.id][:8]}" for job in state.held.get(worker.id, ())
        )
        revoked = " ".join(lease[-4:] for lease in state.revoked.get(worker.id, ()))
        yield (
            f"worker {worker.id} {' '.join(flags)} session={worker.session!r}"
            f" {worker.slots_free}/{worker.slots} free {worker.labels} seen {worker.last_seen:.1f}"
            f" holds [{held}] revoked [{revoked}]"
        )
