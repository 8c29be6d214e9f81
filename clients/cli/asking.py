"""The verbs that ask the coordinator one thing and print the answer."""

import time

from clients.cli import printing
from clients.cli.api import Api, BuildInfo, WorkerInfo, read
from clients.cli.texts import columns, duration, instant, short
from events.ids import is_hex40

LEASES_SHOWN = 3


async def builds(api: Api, *, state: str, labels: dict[str, str], limit: int, as_json: bool) -> int:
    """The newest builds."""
    raw = await api.builds(state=state, labels=labels, limit=limit)
    if as_json:
        printing.as_json({"builds": raw})
    else:
        printing.lines(builds_table([read(entry, BuildInfo) for entry in raw], now=time.time()))
    return 0


async def workers(api: Api, *, as_json: bool) -> int:
    """All workers."""
    raw, known = await api.workers()
    if as_json:
        printing.as_json({"workers": raw})
    else:
        printing.lines(workers_table(list(known.workers), now=time.time()))
    return 0


async def cancel(api: Api, build: str, *, reason: str, as_json: bool) -> int:
    """Cancel the build that `build` is the beginning of."""
    identifier = await api.find_build(build)
    state = await api.cancel(identifier, reason)
    if as_json:
        printing.as_json({"id": identifier, "state": state})
    else:
        printing.line(f"build {short(identifier)} is {state}")
    return 0


async def why(api: Api, build: str, job: str, *, at: int | None, as_json: bool) -> int:
    """Explain a job, in the words of `terzetto log why`."""
    from clients.cli.log import explaining  # what looks back takes its time to import
    from events.hindsight.why import Explanation

    identifier = await api.find_build(build)
    job_id = job if is_hex40(job) else (await api.find_job(identifier, job)).id
    found = read(await api.why(identifier, job_id, at), Explanation)
    explaining.show(found, as_json=as_json)
    return 0


def builds_table(builds: list[BuildInfo], *, now: float) -> list[str]:
    """The builds as lines; a build that runs has been running until `now`, in seconds since 1970."""
    if not builds:
        return ["no builds"]
    rows = [_build_row(build, now) for build in builds]
    head: tuple[str, ...] = ("BUILD", "STATE", "JOBS", "STARTED", "TOOK", "NAME")
    if any(build.priority for build in builds):
        head = (*head[:2], "PRIORITY", *head[2:])
        rows = [(*row[:2], str(build.priority), *row[2:]) for row, build in zip(rows, builds, strict=True)]
    return columns(head, rows)


def _build_row(build: BuildInfo, now: float) -> tuple[str, ...]:
    ended = sum(build.counts.get(state, 0) for state in ("succeeded", "failed", "cancelled"))
    took = duration((build.ended_at or now) - build.started_at) if build.started_at else ""
    return (
        short(build.id),
        build.state,
        f"{ended}/{build.jobs}",
        instant(build.started_at),
        took,
        build.name,
    )


def workers_table(workers: list[WorkerInfo], *, now: float) -> list[str]:
    """The workers as lines, each with when it was last heard of before `now`."""
    if not workers:
        return ["no workers; start one with `terzetto worker`"]
    header = ("WORKER", "STATE", "BUSY", "SEEN", "ARTIFACTS", "RUNNING", "LABELS")
    return columns(header, [_worker_row(worker, now) for worker in workers])


def _worker_row(worker: WorkerInfo, now: float) -> tuple[str, ...]:
    slots = worker.slots or len(worker.leases) + worker.slots_free
    running, ahead = min(len(worker.leases), slots), max(0, len(worker.leases) - slots)
    names = [lease.name or short(lease.job) for lease in worker.leases]
    more = f" and {len(names) - LEASES_SHOWN} more" if len(names) > LEASES_SHOWN else ""
    return (
        worker.id,
        worker.state,
        f"{running}/{slots}" + (f" +{ahead} ahead" if ahead else ""),
        f"{duration(now - worker.last_seen)} ago" if worker.last_seen else "never",
        str(worker.artifacts),
        ", ".join(names[:LEASES_SHOWN]) + more,
        " ".join(f"{key}={value}" for key, value in worker.labels.items()),
    )
