"""Decisions about jobs in containers: where they run, and that one which does badly is begun anew."""

from collections.abc import Iterator

from events.catalog import ContainerStarted, Event, HealthCheckFailed
from events.commands import ReportContainer, ReportUnhealthy
from events.containers import TEXT_MAX
from events.decide.jobs import fail_unhealthy
from events.errors import LEASE_ENDED, MALFORMED, Rejected
from events.ids import LeaseId
from events.model import Lease
from events.state import State


def report(state: State, command: ReportContainer) -> Iterator[Event]:
    """The worker says that a container runs. Said again, it changes nothing."""
    lease = _live(state, command.lease)
    build = lease.builds[0]
    if state.graphs[build].jobs[lease.job].spec.container is None:
        raise Rejected(MALFORMED, f"job {lease.job} runs in no container")
    if not 0 < len(command.container) <= TEXT_MAX or len(command.ports) > TEXT_MAX:
        raise Rejected(MALFORMED, f"a container's id has 1 to {TEXT_MAX} characters")
    known = state.graphs[build].containers.get(lease.job)
    if known is None or (known.lease, known.container) != (lease.id, command.container):
        yield ContainerStarted(
            build=build, job=lease.job, lease=lease.id, container=command.container, ports=command.ports
        )


def unhealthy(state: State, command: ReportUnhealthy) -> Iterator[Event]:
    """A running job does not do what it is for: it is begun anew, or fails if it was often enough."""
    lease = _live(state, command.lease)
    yield HealthCheckFailed(build=lease.builds[0], job=lease.job, lease=lease.id, error=command.error)
    yield from fail_unhealthy(state, lease, command.error)


def _live(state: State, id_: LeaseId) -> Lease:
    lease = state.leases.get(id_)
    if lease is None:
        raise Rejected(LEASE_ENDED, f"lease {id_[:8]} has ended")
    return lease
