"""Decisions about the coordinator's own life."""

from collections.abc import Iterator

from events.catalog import CoordinatorStalled, CoordinatorStarted, Event
from events.commands import ResumeAfterStall, StartCoordinator
from events.state import State


def start(state: State, command: StartCoordinator) -> Iterator[Event]:
    """A new epoch begins; the settings that decisions depend on are facts like any other."""
    settings = command.settings
    yield CoordinatorStarted(
        epoch=state.epoch + 1,
        version=command.version,
        lease_seconds=settings.lease_seconds,
        worker_silence_seconds=settings.worker_silence_seconds,
        job_seconds_max=settings.job_seconds_max,
        cache_timeout=settings.cache_timeout,
        deps_timeout=settings.deps_timeout,
        losses_max=settings.losses_max,
        typed_lease_seconds=settings.typed_lease_seconds,
        asking_worker_seconds=settings.asking_worker_seconds,
        placement=settings.placement,
    )


def resume(command: ResumeAfterStall) -> Iterator[Event]:
    yield CoordinatorStalled(seconds=command.seconds)
