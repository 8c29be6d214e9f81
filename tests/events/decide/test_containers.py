"""Jobs in containers: where they run, what begins them anew, and when they have failed for good."""

from attrs import evolve

from events.catalog import (
    BuildFailed,
    Container,
    ContainerFailed,
    ContainerStarted,
    HealthCheckFailed,
    JobFailed,
    JobLeased,
    JobReleased,
)
from events.commands import FinishUpload, ReportContainer, ReportUnhealthy, Result
from events.errors import LEASE_ENDED, MALFORMED
from events.ids import LeaseId
from tests.events.story import BUILD, LEASE, A, Story, W, beat, heard, job, lease_id, start

ENGINE = {"engine": "docker"}
READY = FinishUpload(build=BUILD)
STARTED = ReportContainer(lease=LEASE, container="c1", ports={"80/tcp": "10.0.0.1:8080"})
BAD = Result(job=A, lease=LEASE, exit_code=1, error="exit status 1", stdout_bytes=5)


def running(restarts: int = 0) -> Story:
    """A job runs in a container."""
    box = evolve(job(A, container=Container(image="box:1", restarts=restarts)), cmds=())
    return Story().given(beat(W, labels=ENGINE), start(box), READY, beat(W, labels=ENGINE))


def test_where_it_runs_is_told_once() -> None:
    """Said again it is no news; another container of the same lease is."""
    story = running().when(STARTED)
    told = ContainerStarted(
        build=BUILD, job=A, lease=LEASE, container="c1", ports={"80/tcp": "10.0.0.1:8080"}
    )
    story.then(told)
    assert story.state.graphs[BUILD].containers == {A: told}
    story.when(STARTED).then()
    story.when(ReportContainer(lease=LEASE, container="c2"))
    story.then(ContainerStarted(build=BUILD, job=A, lease=LEASE, container="c2"))


def test_only_a_live_lease_of_such_a_job_has_containers() -> None:
    """Anything else is refused."""
    story = running().refused(ReportContainer(lease=LeaseId("no"), container="c"), LEASE_ENDED)
    story.refused(ReportContainer(lease=LEASE, container=""), MALFORMED, "1 to")
    plain = Story().given(beat(W, labels=ENGINE), start(job(A)), READY, beat(W, labels=ENGINE))
    plain.refused(STARTED, MALFORMED, "runs in no container")
    plain.refused(ReportUnhealthy(lease=LeaseId("no"), error=""), LEASE_ENDED)


def test_what_fails_is_begun_anew_as_often_as_it_may_be() -> None:
    """Each time with what it failed of; then it has failed for good."""
    story = running(restarts=1).when(beat(W, labels=ENGINE, finished=(BAD,)))
    story.then(
        heard(W, finished=(LEASE,)),
        ContainerFailed(build=BUILD, job=A, lease=LEASE, exit_code=1, error="exit status 1", stdout_bytes=5),
        JobReleased(build=BUILD, job=A, lease=LEASE, reason="container-failed"),
        JobLeased(build=BUILD, job=A, lease=lease_id(2), worker=W, attempt=2, reason="first-come"),
    )
    assert story.state.graphs[BUILD].restarts == {A: 1}
    again = Result(job=A, lease=lease_id(2), exit_code=7, error="exit status 7")
    story.when(beat(W, labels=ENGINE, finished=(again,)))
    story.then(
        heard(W, finished=(lease_id(2),)),
        JobFailed(build=BUILD, job=A, lease=lease_id(2), exit_code=7, error="exit status 7"),
        BuildFailed(build=BUILD, error="job a failed: exit status 7"),
    )


def test_what_is_unhealthy_is_begun_anew_and_its_worker_told_to_stop() -> None:
    """As often as it may be; then it has failed, and is stopped all the same."""
    story = running(restarts=1).when(ReportUnhealthy(lease=LEASE, error="answered 500"))
    story.then(
        HealthCheckFailed(build=BUILD, job=A, lease=LEASE, error="answered 500"),
        JobReleased(build=BUILD, job=A, lease=LEASE, reason="health-failed"),
    )
    assert story.state.revoked == {W: {LEASE: None}}
    story.given(beat(W, labels=ENGINE)).when(ReportUnhealthy(lease=lease_id(2), error="does not answer"))
    story.then(
        HealthCheckFailed(build=BUILD, job=A, lease=lease_id(2), error="does not answer"),
        JobFailed(build=BUILD, job=A, lease=lease_id(2), exit_code=-1, error="unhealthy: does not answer"),
        BuildFailed(build=BUILD, error="job a failed: unhealthy: does not answer"),
    )
    story.given(beat(W, 0, labels=ENGINE, running=(lease_id(2),)))
    assert story.state.revoked == {W: {lease_id(2): None}}


def test_a_lost_worker_is_no_restart() -> None:
    """Whatever happened to the worker, it is not the job's failure."""
    story = running(restarts=1).given(beat(W, session="2", labels=ENGINE))
    assert story.state.graphs[BUILD].restarts == {}
    assert story.state.graphs[BUILD].jobs[A].attempt == 2


def test_what_served_for_long_may_lose_its_worker_as_often_as_it_likes() -> None:
    """It is not what kills its workers; what is lost sooner counts as ever."""
    story = running()
    for life in range(1, 30):
        story.given(ReportContainer(lease=lease_id(life), container=f"c{life}"))
        story.when(beat(W, session=f"life {life}", labels=ENGINE), at=story.now + 600)
        assert story.state.graphs[BUILD].jobs[A].attempt == life + 1
    assert story.state.graphs[BUILD].jobs[A].losses == 0
    for life in range(3):
        story.when(beat(W, session=f"short life {life}", labels=ENGINE), at=story.now + 1)
    assert story.state.graphs[BUILD].jobs[A].note.startswith("lost its worker 3 times")
