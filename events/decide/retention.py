"""Decisions about what State need no longer know: gone workers, and results that nobody can use."""

from collections.abc import Iterator

from events.catalog import Event, ResultsForgotten, WorkerForgotten
from events.commands import ForgetResults, ForgetWorker
from events.ids import COORDINATOR, JobId
from events.state import State


def forget_worker(state: State, command: ForgetWorker) -> Iterator[Event]:
    """Let a lost worker go. One that is here, or that nobody knows, is no news."""
    worker = state.workers.get(command.worker)
    if worker is not None and not worker.alive:
        yield WorkerForgotten(worker=worker.id)


def is_held_by_nobody(state: State, job: JobId) -> bool:
    """The coordinator, which holds what typed jobs made, lets go of it together with the result."""
    return state.holders.get(job, {}).keys() <= {COORDINATOR}


def forget_results(state: State, command: ForgetResults) -> Iterator[Event]:
    """Let results go. Where an artifact of the job has turned up, its result may be of use and stays.

    A result only ever saves work, so to forget one too many costs a run and breaks nothing.
    """
    useless = {
        digest: job
        for digest, job in command.results.items()
        if (job, digest) in state.results and is_held_by_nobody(state, job)
    }
    if useless:
        yield ResultsForgotten(results=useless)
