"""What State need no longer know: workers that are gone, results that nobody can use."""

from events.catalog import ResultsForgotten, WorkerForgotten
from events.commands import FinishUpload, ForgetBuild, ForgetResults, ForgetWorker, Result
from events.errors import WORKER_UNKNOWN, Rejected
from tests.events.story import BUILD, LEASE, A, B, Story, V, W, beat, heard, job, joined, lease_id, start

READY = FinishUpload(build=BUILD)


def built() -> Story:
    """A build of two jobs that has ended; one artifact is with each of two workers."""
    story = Story().given(start(job(A), job(B)), READY, beat(V), beat(W))
    story.given(beat(V, 0, finished=(Result(job=A, lease=LEASE),)))
    return story.given(beat(W, 0, finished=(Result(job=B, lease=lease_id(2)),)))


def test_a_lost_worker_is_forgotten() -> None:
    """When it comes back it joins as if it had never been here."""
    story = Story().given(beat(leaving=True)).when(ForgetWorker(worker=W)).then(WorkerForgotten(worker=W))
    assert W not in story.state.workers
    try:
        story.state.worker(W)
    except Rejected as refusal:
        assert refusal.code is WORKER_UNKNOWN
    story.when(beat()).then(joined(), heard())


def test_a_worker_that_is_here_is_not() -> None:
    """Nor can one be that nobody knows, or that was forgotten before."""
    story = Story().given(beat()).when(ForgetWorker(worker=W)).then()
    story.when(ForgetWorker(worker=V)).then()
    story.given(beat(leaving=True), ForgetWorker(worker=W)).when(ForgetWorker(worker=W)).then()


def test_results_are_forgotten_whose_artifacts_nobody_holds() -> None:
    """The other stays: it saves a run."""
    story = built()
    digests = {story.digest(id_): id_ for id_ in (A, B)}
    story.given(ForgetBuild(build=BUILD), beat(V, leaving=True))
    story.when(ForgetResults(results=digests))
    story.then(ResultsForgotten(results={digest: id_ for digest, id_ in digests.items() if id_ == A}))
    assert [id_ for id_, _ in story.state.results] == [B]
    story.when(ForgetResults(results=digests)).then()


def test_a_forgotten_result_costs_a_run_and_nothing_else() -> None:
    """Even if its build is still known and its artifact comes back."""
    story = built()
    of_a = story.digest(A)
    story.given(beat(V, leaving=True), ForgetResults(results={of_a: A}))
    story.given(beat(V, added=(A,), digests={A: of_a}), start(job(A)))
    story.when(FinishUpload(build=list(story.state.builds)[1]))
    assert story.state.queued
