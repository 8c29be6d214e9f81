"""Starts and stalls of the coordinator punish nobody; time in the log never falls."""

from events.catalog import (
    CoordinatorStalled,
    CoordinatorStarted,
    JobReleased,
    SignalReceived,
    TimePassed,
    WorkerLost,
)
from events.commands import FinishUpload, ResumeAfterStall, Settings, StartCoordinator, Tick
from events.decide.workers import next_deadline
from tests.events.story import BUILD, LEASE, LEASE_SECONDS, A, Story, V, W, beat, job, leased, plain, start

READY = FinishUpload(build=BUILD)
SETTINGS = Settings(
    lease_seconds=7.0,
    worker_silence_seconds=8.0,
    job_seconds_max=9.0,
    cache_timeout=0.5,
    deps_timeout=0.6,
    losses_max=2,
)


def started(epoch: int) -> CoordinatorStarted:
    return CoordinatorStarted(
        epoch=epoch,
        version="1",
        lease_seconds=7.0,
        worker_silence_seconds=8.0,
        job_seconds_max=9.0,
        cache_timeout=0.5,
        deps_timeout=0.6,
        losses_max=2,
    )


def test_each_start_is_an_epoch_with_its_settings() -> None:
    """What decisions depend on is a fact like any other, so that they can be made again from the log."""
    start_ = StartCoordinator(version="1", settings=SETTINGS)
    story = Story().when(start_).then(started(1)).when(start_).then(started(2))
    assert story.state.settings == SETTINGS
    assert story.state.epoch == 2


def test_a_start_renews_every_lease() -> None:
    """A worker that comes back with its lease keeps its job, however long we were away."""
    story = Story().given(start(job(A)), READY, beat())
    story.when(StartCoordinator(version="1", settings=Settings()), at=5000.0)
    assert next_deadline(story.state) == 5000.0 + LEASE_SECONDS
    story.when(Tick()).then()
    story.when(beat(free=0, running=(LEASE,)), at=5020.0)
    assert story.state.leases_of == {W: {A: LEASE}}


def test_a_start_renews_the_lease_of_a_quiet_worker() -> None:
    """Its job's limit may be over, but the worker could not have told us."""
    story = Story().given(start(job(A)), READY, plain())
    story.when(StartCoordinator(version="1", settings=Settings()), at=5000.0).when(Tick()).then()
    story.when(Tick(), at=5000.0 + LEASE_SECONDS).then(
        TimePassed(),
        JobReleased(build=BUILD, job=A, lease=LEASE, reason="lease-ran-out"),
        WorkerLost(worker=W, reason="silent"),
    )


def test_a_stall_renews_every_lease() -> None:
    """We were paused, they were not."""
    story = Story().given(beat(), beat(V)).when(ResumeAfterStall(seconds=60.0), at=60.0)
    story.then(CoordinatorStalled(seconds=60.0)).when(Tick()).then()
    assert next_deadline(story.state) == 60.0 + LEASE_SECONDS


def test_a_clock_that_is_set_back_stands_still() -> None:
    """Records never go back in time, and decisions are made by the time of their records."""
    story = Story().given(start(job(A))).when(READY, at=100.0).when(beat(), at=40.0)
    assert story.last[2:] == [leased(A)]
    assert [record.at for record in story.records[-3:]] == [100.0, 100.0, 100.0]
    story.when(Tick(), at=41.0).then()
    story.when(READY, at=101.0).then(SignalReceived(build=BUILD, signal="upload-done"))
    assert story.records[-1].at == 101.0
