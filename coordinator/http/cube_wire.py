"""Cube's words and ours: a task event becomes a build of one job, and what State says a task or a node."""

import hashlib
from typing import Any
from urllib.parse import urlsplit

from clients import tasks as wire
from coordinator.tasks import LABELS, UNABLE, Task, key_of
from events.catalog import Container
from events.commands import NewJob, StartBuild
from events.ids import JobId, WorkerId
from events.model import Worker
from events.placement import capacity, taken
from events.state import State
from events.transitions import BuildStatus, JobStatus

# As often as Cube's manager does it.
RESTARTS = 3


def start(sent: wire.Task, worker: str, now: float) -> StartBuild:
    """The build that is the task; on `worker`, if that is not empty."""
    # Another time the same task is another job: what it did before is no result to be reused.
    job = hashlib.sha256(f"{sent.id} {now}".encode()).hexdigest()[:40]
    new = NewJob(
        id=JobId(job),
        name=sent.name or sent.id,
        container=_container(sent),
        needs=(f"worker={worker}",) if worker else (),
    )
    return StartBuild(
        jobs=(new,),
        name=sent.name,
        key=key_of(sent.id),
        labels={**LABELS, "task": sent.id},
        detached=True,
    )


def _container(sent: wire.Task) -> Container:
    return Container(
        image=sent.image,
        cpu=float(sent.cpu),
        memory=sent.memory,
        disk=sent.disk,
        network=True,  # as Cube's tasks have always had it
        ports=tuple(dict.fromkeys(map(_port, sent.exposed_ports or ()))),
        bindings={_port(port): bound for port, bound in (sent.port_bindings or {}).items()},
        health=sent.health_check if not sent.health_check else "/" + sent.health_check.lstrip("/"),
        restarts=RESTARTS,
        restart_policy=sent.restart_policy,
    )


def _port(port: str) -> str:
    return port if "/" in port else f"{port}/tcp"


def task(found: Task) -> wire.Task:
    """As Cube tells it."""
    build, job, started = found.build, found.job, found.started
    container = job.spec.container
    assert container is not None, "it is made with one"
    is_current = started is not None and started.lease == job.lease
    return wire.Task(
        id=found.id,
        container_id=started.container if started and is_current else "",
        name=build.name,
        state=_state(found, is_current=is_current),
        image=container.image,
        cpu=wire.as_number(container.cpu),
        memory=container.memory,
        disk=container.disk,
        exposed_ports={port: {} for port in container.ports} or None,
        host_ports=_host_ports(started.ports) if started and is_current else None,
        port_bindings=container.bindings or None,
        restart_policy=container.restart_policy,
        start_time=wire.time_text(job.started_at),
        finish_time=wire.time_text(build.ended_at),
        health_check=container.health,
        restart_count=found.restarts,
    )


def _host_ports(ports: dict[str, str]) -> dict[str, tuple[wire.PortBinding, ...]] | None:
    found = {port: place.rpartition(":") for port, place in ports.items()}
    return {
        port: (wire.PortBinding(host_ip=ip, host_port=number),) for port, (ip, _, number) in found.items()
    }


def _state(found: Task, *, is_current: bool) -> wire.State:
    build, job = found.build, found.job
    match job.status:
        case JobStatus.BLOCKED:
            return wire.State.PENDING
        case JobStatus.QUEUED:
            return wire.State.SCHEDULED if job.attempt else wire.State.PENDING
        case JobStatus.RUNNING:
            return wire.State.RUNNING if is_current else wire.State.SCHEDULED
        case JobStatus.SUCCEEDED:
            return wire.State.COMPLETED
        case JobStatus.FAILED:
            return wire.State.FAILED
        case JobStatus.CANCELLED:
            is_given_up = build.status is BuildStatus.CANCELLED and build.error.startswith(UNABLE)
            return wire.State.FAILED if is_given_up else wire.State.COMPLETED


def node(state: State, worker: Worker, stats: dict[str, Any] | None) -> wire.Node:
    """A worker, with what placement goes by."""
    has, used = capacity(worker), taken(state, worker.id)
    return wire.Node(
        name=urlsplit(worker.id).netloc or worker.id,
        api=worker.id,
        memory=has.memory >> 10,
        memory_allocated=used.memory >> 10,
        disk=has.disk,
        disk_allocated=used.disk,
        stats=stats,
        task_count=len(state.leases_of.get(worker.id, ())),
    )


def worker_of(text: str) -> WorkerId:
    return WorkerId(text)
