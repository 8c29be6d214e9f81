"""The checkers bite: a bug that is planted into production code turns a seed red, and soon."""

import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import attrs
import pytest
import trio

from coordinator import alarm, app
from coordinator.journal import Journal
from events.commands import Heartbeat, Result
from events.decide import workers
from events.ids import JobId, LeaseId
from events.model import Lease
from events.state import State
from tests.simulation.options import Options
from tests.simulation.runner import Result as Outcome
from tests.simulation.runner import simulate

SEEDS_MAX = 40


async def append_without_waiting(self: Journal, records: Any) -> None:
    """Answers before the commit."""
    self.stage(records)
    await trio.lowlevel.checkpoint()


async def settled_at_once(self: Journal) -> bool:
    """Shows what is still on its way to the disk."""
    await trio.lowlevel.checkpoint()
    return True


def finished_by_any_lease(
    state: State, command: Heartbeat, live: dict[JobId, LeaseId]
) -> tuple[list[tuple[Lease, Result]], list[str]]:
    """Takes a result of whatever lease of whomever, as long as the lease lives."""
    found = {result.lease: result for result in command.finished if result.lease in state.leases}
    return [(state.leases[id_], result) for id_, result in found.items()], []


def no_deadline(state: State) -> None:
    """Waits for the silent for ever."""


async def survive_without_replay(self: Journal, batch: Any, error: Exception) -> None:
    """Keeps what the full disk did not take."""
    for lost in (batch, self._staged):
        lost.dropped = True
        lost.stored.set()
    await trio.lowlevel.checkpoint()


PLANTED: dict[str, tuple[Any, str, Callable[..., Any], dict[str, Any]]] = {
    "answers before the commit": (Journal, "append", append_without_waiting, {"commit_seconds": 0.05}),
    "shows what is not durable": (
        Journal,
        "settled",
        settled_at_once,
        {"faults": ("visitor", "watcher"), "commit_seconds": 0.2},
    ),
    "takes any lease's result": (workers, "_finished", finished_by_any_lease, {"faults": ("liar",)}),
    "has no deadline": (
        alarm,
        "next_deadline",
        no_deadline,
        {"faults": ("liar",)},
    ),
    "keeps what was dropped": (
        Journal,
        "_survive_full_disk",
        survive_without_replay,
        {"faults": ("full_disk",), "pause": 1.0},
    ),
}


def runs(options: dict[str, Any]) -> Iterator[Outcome]:
    for seed in range(SEEDS_MAX):
        yield simulate(attrs.evolve(Options.of(seed), **{"faults": (), **options}))


def ignored(_complaint: object) -> None:
    """Nobody hears of it."""


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str) -> None:
    """Within few seeds, under no more faults than it needs; and nobody else sees it."""
    where, what, bug, options = PLANTED[name]
    # A run may be broken off with its tasks where they are, which complain of that when they are collected.
    with mock.patch.object(where, what, bug), mock.patch.object(sys, "unraisablehook", ignored):
        is_found = any(result.error for result in runs(options))
        gc.collect()
    assert is_found
    assert vars(app)["Journal"] is Journal
