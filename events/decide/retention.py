"""Decisions about what State need no longer know: gone workers, and results that nobody can use."""

from collections.abc import Iterator

from events.catalog import Event, ResultsForgotten, WorkerForgotten
from events.commands import ForgetResults, ForgetWorker
from events.state import State


def forget_worker(state: State, command: ForgetWorker) -> Iterator[Event]:
    """Let a lost worker go. One that is here, or that nobody knows, is no news."""
    worker = state.workers.get(command.worker)
    if worker is not None and not worker.alive:
        yield WorkerForgotten(worker=worker.id)


def forget_results(state: State, command: ForgetResults) -> Iterator[Event]:
    """Let results go. Where an artifact of the job has turned up, its result may be of use and stays.

    A result only ever saves work, so to forget one too many costs a run and breaks nothing.
    """
    useless = {
        digest: job
        for digest, job in command.results.items()
        if (job, digest) in state.results and job not in state.holders
    }
    if useless:
        yield ResultsForgotten(results=useless)
