"""Who gets which job: distbuild's rules of locality, turns between builds, and jobs that do not suit.

The first part retells the checks that distbuild's own scheduler comes with.
"""

from events.catalog import BuildPrioritised, JobBlocked, JobLeased
from events.commands import CancelBuild, FinishUpload, PrioritiseBuild, Result, Settings
from events.decide.builds import PRIORITY_MAX
from events.errors import BUILD_ENDED, BUILD_UNKNOWN, MALFORMED
from events.ids import JobId, RequestId, SpecDigest, WorkerId
from events.queue import COMMANDS, HOLDERS_MAX
from events.schedule import LOOK_MAX, Offer, opens_at, schedule
from tests.events.story import (
    BUILD,
    OTHER,
    A,
    B,
    C,
    D,
    E,
    Story,
    V,
    W,
    X,
    beat,
    build_id,
    job,
    lease_id,
    leased,
    plain,
    start,
)

READY, READY_TOO = FinishUpload(build=BUILD), FinishUpload(build=OTHER)
CACHE, DEPS = Settings().cache_timeout, Settings().deps_timeout


# --- distbuild's checklist


def test_single_job() -> None:
    """A job that nothing ties to anybody goes to whoever comes first, at once."""
    Story().given(start(job(A)), READY).when(beat()).then(*Story().when(beat()).last, leased(A))


def test_a_cancelled_pick_gets_nothing() -> None:
    """A job that was cancelled while it waited is not picked."""
    story = Story().given(start(job(A)), READY, CancelBuild(build=BUILD, reason="")).when(beat())
    assert story.leases() == []


def test_cache_local_scheduling() -> None:
    """A worker takes first what it holds the result of, whatever was queued before."""
    story = Story().given(beat(W, 0, added=(B,)), start(job(A), job(B)), READY)
    assert story.when(beat(W)).leases() == [(B, W, "holds-result")]
    story = Story().given(beat(W, 0, added=(B,)), start(job(A), job(B)), READY)
    assert story.when(beat(W, 2, slots=2)).leases() == [(B, W, "holds-result"), (A, W, "first-come")]


def test_a_result_is_waited_for_and_then_no_longer() -> None:
    """For others the job opens after the cache timeout and the deps timeout."""
    story = Story().given(beat(W, 0, added=(A,)), start(job(A)), READY)
    assert opens_at(story.state, 0.0) == CACHE + DEPS
    assert story.when(beat(V)).leases() == []
    assert story.when(beat(V), at=CACHE + DEPS).leases() == [(A, V, "waited-for-result")]


def test_dependency_local_scheduling() -> None:
    """A worker takes what it holds a dependency of before what nobody is near to."""
    story = Story().given(start(job(A), job(B), job(C, A)), READY, beat())
    story.when(beat(finished=(Result(job=A, lease=lease_id(1)),)))
    assert story.leases() == [(C, W, "holds-dependency")]


def test_a_dependency_is_waited_for_and_then_no_longer() -> None:
    """For workers that hold none of the dependencies the job opens after the deps timeout."""
    story = Story().given(start(job(A), job(C, A)), READY, beat())
    story.given(beat(free=0, finished=(Result(job=A, lease=lease_id(1)),)))
    assert opens_at(story.state, 0.0) == DEPS
    assert story.when(beat(V)).leases() == []
    assert story.when(beat(V), at=DEPS).leases() == [(C, V, "waited-for-dependency")]


def test_a_holder_of_the_result_comes_before_a_holder_of_a_dependency() -> None:
    """The second has to wait for the cache timeout, everybody else for the deps timeout after that."""
    story = Story().given(beat(V, 0, added=(C,)), start(job(A), job(C, A)), READY, beat())
    story.given(beat(free=0, finished=(Result(job=A, lease=lease_id(1)),)))
    assert story.when(beat(W)).leases() == []
    assert story.when(beat(X), at=CACHE).leases() == []
    assert story.when(beat(W)).leases() == [(C, W, "holds-dependency")]


def test_news_of_a_cached_result_comes_in_time() -> None:
    """A job that is queued already is tied to a worker that turns out to hold its result."""
    story = Story().given(beat(W, 0, added=(B,)), start(job(A), job(B)), READY)
    story.given(beat(V, 0, added=(A,)))
    assert story.when(beat(V)).leases() == [(A, V, "holds-result")]


def test_news_of_another_specs_result_is_no_news() -> None:
    """The worker would have to run the job like any other."""
    story = Story().given(start(job(A), job(B)), READY, beat(V, 0, added=(B,), digests={B: "e" * 64}))
    assert story.when(beat(V)).leases() == [(A, V, "first-come")]


def test_duplicate_schedule() -> None:
    """The same job of two builds is one pending job."""
    story = Story().given(start(job(A)), start(job(A)), READY, READY_TOO).when(beat(slots=2, free=2))
    assert story.leases() == [(A, W, "first-come"), (A, W, "shared")]
    assert len(story.state.leases) == 1


def test_complete_before_schedule() -> None:
    """An artifact of a job that nobody asked for yet is known by its place alone."""
    story = Story().given(beat(added=(A,)))
    assert story.state.locate(A, SpecDigest("e" * 64)) == W
    assert story.state.locate(B, SpecDigest("e" * 64)) is None


def test_locate_artifact() -> None:
    """Any holder of the very artifact will do; others that hold the id do not count."""
    story = Story().given(
        beat(V, added=(A,), digests={A: "e" * 64}), beat(W, added=(A,), digests={A: "f" * 64})
    )
    assert story.state.locate(A, SpecDigest("f" * 64)) == W
    assert story.state.locate(A, SpecDigest("0" * 64)) is None


def test_artifact_transfer_between_workers() -> None:
    """Three builds share a base job and have a dependent each: with one slot a worker, all three work."""
    workers = (V, W, X)
    story = Story()
    for number, top in enumerate((B, C, D), start=1):
        story.given(start(job(A), job(top, A)), FinishUpload(build=build_id(number)))
    story.given(plain(V), plain(W), plain(X))
    assert list(story.state.leases_of[V]) == [A]
    story.given(plain(V, finished=(Result(job=A),)))
    for worker in (W, X):
        assert story.when(plain(worker)).leases() == [], "the holder of the base job comes first"
    for worker in (W, X):
        assert story.when(plain(worker), at=DEPS).leases()[0][2] == "waited-for-dependency"
    assert [len(story.state.leases_of[worker]) for worker in workers] == [1, 1, 1]


# --- what is near


def test_what_everybody_holds_ties_a_job_to_nobody() -> None:
    """A dependency with many holders makes no difference, so nobody is waited for."""
    story = Story().given(start(job(A), job(B, A)), READY)
    story.given(*(beat(WorkerId(f"w{n}"), 0, added=(A,)) for n in range(HOLDERS_MAX)), beat(W))
    story.given(beat(free=0, finished=(Result(job=A, lease=lease_id(1)),)))
    assert story.when(beat(V)).leases() == [(B, V, "first-come")]


def test_a_line_is_not_held_up_by_its_first() -> None:
    """C waits for the holder of its result; D, which stands behind it, waits for nobody else."""
    story = Story().given(beat(V, 0, added=(C,)), start(job(A), job(B), job(C, A), job(D, B)), READY)
    story.given(beat(W, 2, slots=2))
    results = tuple(Result(job=id_, lease=lease_id(n)) for n, id_ in enumerate((A, B), start=1))
    story.when(beat(W, 1, slots=2, finished=results))
    assert story.leases() == [(D, W, "holds-dependency")]


# --- turns


def test_a_small_build_is_served_beside_a_huge_one() -> None:
    """Builds take turns, so it has its second job after four leases, not after a hundred."""
    huge = start(*(job(JobId(f"{n:040x}")) for n in range(100)))
    story = Story().given(huge, READY, beat(slots=200, free=2)).given(start(job(A), job(B)), READY_TOO)
    story.when(beat(slots=200, free=4, running=(lease_id(1), lease_id(2))))
    assert [event.build for event in story.last if isinstance(event, JobLeased)] == [
        BUILD,
        OTHER,
        BUILD,
        OTHER,
    ]


def test_what_is_served_goes_to_the_end_of_the_round() -> None:
    """Three builds, three workers with one slot each: one job of each build."""
    story = Story()
    for number in (1, 2, 3):
        own = (job(JobId(f"{number}{n:039x}")) for n in range(3))
        story.given(start(*own), FinishUpload(build=build_id(number)))
    served = []
    for worker in (V, W, X):
        story.when(beat(worker))
        served += [event.build for event in story.last if isinstance(event, JobLeased)]
    assert served == [build_id(1), build_id(2), build_id(3)]


def test_a_build_that_cannot_use_a_worker_does_not_keep_it_from_others() -> None:
    """The first in the round waits for somebody else's cache."""
    story = Story().given(beat(V, 0, added=(A,)), start(job(A)), READY, start(job(B)), READY_TOO)
    assert story.when(beat(W)).leases() == [(B, W, "first-come")]


def test_builds_of_a_higher_priority_are_served_first() -> None:
    """However late they come; equal ones take turns as ever."""
    story = Story().given(start(job(A), job(B)), READY, start(job(C), priority=1), READY_TOO)
    story.given(start(job(D), job(E), priority=1), FinishUpload(build=build_id(3)))
    taken = [id_ for id_, _, _ in story.when(beat(W, 5, slots=5)).leases()]
    assert taken == [C, D, E, A, B]


def test_a_priority_may_change_while_jobs_wait() -> None:
    """The build then stands last among those of its new priority; said again, it is no news."""
    story = Story().given(start(job(A)), READY, start(job(B)), READY_TOO)
    story.when(PrioritiseBuild(build=OTHER, priority=3)).then(BuildPrioritised(build=OTHER, priority=3))
    story.when(PrioritiseBuild(build=OTHER, priority=3)).then()
    assert list(story.state.rotation[COMMANDS]) == [OTHER, BUILD]
    story.given(PrioritiseBuild(build=BUILD, priority=3))
    assert list(story.state.rotation[COMMANDS].lines) == [3]
    assert [id_ for id_, _, _ in story.when(beat(W, 2, slots=2)).leases()] == [B, A]


def test_what_an_older_request_wants_is_over() -> None:
    """It may arrive twice, and after a younger one; a person who is no request is heard at any time."""
    story = Story().given(start(job(A)), READY)
    for priority, request in ((5, 2), (1, 1), (4, 2)):
        story.given(PrioritiseBuild(build=BUILD, priority=priority, request=RequestId(request)))
    assert (story.state.builds[BUILD].priority, len(story.last)) == (5, 0)
    story.given(PrioritiseBuild(build=BUILD, priority=1))
    assert story.state.builds[BUILD].priority == 1


def test_a_priority_has_its_bounds_and_its_time() -> None:
    """It says nothing about a build that has ended."""
    story = Story().refused(start(job(A), priority=PRIORITY_MAX + 1), MALFORMED, "whole number")
    story.given(start(job(A)), READY)
    story.refused(PrioritiseBuild(build=BUILD, priority=-PRIORITY_MAX - 1), MALFORMED, "whole number")
    story.refused(PrioritiseBuild(build=OTHER, priority=1), BUILD_UNKNOWN)
    story.given(CancelBuild(build=BUILD, reason=""))
    story.refused(PrioritiseBuild(build=BUILD, priority=1), BUILD_ENDED, "cancelled")


# --- jobs that do not suit


def poisoned() -> Story:
    """W made A of one spec, in a build that has ended; another build wants A of another spec, and B."""
    story = Story().given(start(job(A)), READY, plain(), plain(free=0, finished=(Result(job=A),)))
    return story.given(start(job(A, say="other"), job(B)), READY_TOO)


def test_a_worker_of_others_is_not_asked_for_what_it_holds_of_another_spec() -> None:
    """It would answer with that; it gets what stands behind."""
    story = poisoned().when(plain(free=2))
    assert story.leases() == [(B, W, "first-come")]
    assert story.when(plain(V)).leases() == [(A, V, "first-come")]


def test_a_worker_of_ours_runs_what_it_holds_of_another_spec() -> None:
    """It knows specs, and an ended build does not need its artifact."""
    story = Story().given(
        start(job(A)), READY, beat(), beat(free=0, finished=(Result(job=A, lease=lease_id(1)),))
    )
    story.given(start(job(A, say="other")), READY_TOO)
    assert story.when(beat()).leases() == [(A, W, "first-come")]


def test_a_younger_build_waits_while_an_older_needs_the_artifact() -> None:
    """A worker of ours would replace it."""
    story = Story().given(start(job(A), job(B, A)), start(job(A, say="other")), READY, beat())
    story.given(beat(free=0, finished=(Result(job=A, lease=lease_id(1)),)), READY_TOO)
    assert story.when(beat(slots=2, free=2)).leases() == [(B, W, "holds-dependency")]


def test_an_older_build_that_has_yet_to_make_the_artifact_does_not_need_it() -> None:
    """It will make its own; W has what an even older build made that has ended."""
    story = Story().given(start(job(A)), READY, beat())
    story.given(beat(free=0, finished=(Result(job=A, lease=lease_id(1)),)))
    story.given(start(job(A), job(B)), start(job(A, say="other")), FinishUpload(build=build_id(3)))
    assert story.when(beat()).leases() == [(A, W, "first-come")]


def test_an_older_build_takes_what_it_needs_from_a_younger() -> None:
    """So of two builds that contend for one id, one always gets on; the other makes the artifact again."""
    story = Story().given(start(job(A)), start(job(A, say="other"), job(C, A), job(D, A)), READY_TOO, beat())
    story.given(beat(free=0, finished=(Result(job=A, lease=lease_id(1)),)), READY)
    story.when(beat(slots=2, free=2))
    assert story.leases() == [(C, W, "holds-dependency"), (A, W, "first-come")]
    story.when(beat(slots=2, free=0, running=(lease_id(2),), finished=(Result(job=A, lease=lease_id(3)),)))
    assert JobBlocked(build=OTHER, job=D, reason="artifact-replaced") in story.last


def test_jobs_that_do_not_suit_are_passed_over() -> None:
    """As far as it is reasonable to look."""
    ids = tuple(JobId(f"{n:040x}") for n in range(LOOK_MAX - 1))
    of_others = dict.fromkeys(ids, SpecDigest("e" * 64))
    story = Story().given(plain(free=0, added=ids, digests=of_others))
    story.given(start(*(job(id_) for id_ in ids), job(A)), READY)
    assert story.when(plain()).leases() == [(A, W, "first-come")]


def test_opens_at_tells_when_to_look_again() -> None:
    """The earliest over all builds of what is still to come; what is open already waits for no time."""
    story = Story()
    assert opens_at(story.state, 0.0) is None
    story.given(beat(V, 0, added=(A,)), start(job(A)), READY)
    assert opens_at(story.state, 0.0) == CACHE + DEPS
    story.given(start(job(B)), READY_TOO)
    assert opens_at(story.state, 0.0) == CACHE + DEPS
    assert opens_at(story.state, CACHE + DEPS) is None


def test_a_job_is_given_to_who_has_what_it_needs() -> None:
    """All of it; meanwhile whoever comes after it is served."""
    gpu = job(A, needs=("gpu=yes", "os=linux"))
    story = Story().given(start(gpu, job(B)), READY, beat(V, 0, slots=2, labels={"gpu": "yes"}))
    assert story.when(beat(V, 2)).leases() == [(B, V, "first-come")]
    story = Story().given(start(gpu), READY)
    labels = {"gpu": "yes", "os": "linux", "more": ""}
    assert story.when(beat(V, 1, slots=1, labels=labels)).leases() == [(A, V, "first-come")]


def test_typed_jobs_are_given_to_who_asks_for_them() -> None:
    """Type and channel must both be among those asked for; a worker that runs commands gets none."""
    typed = (job(A, job_type="osbuild", channel="org-1"), job(B, job_type="depsolve"))
    story = Story().given(start(*typed), READY, beat(V, 0, slots=2))
    assert story.when(beat(V, 2)).leases() == []
    worker = story.state.workers[V]

    def pick(types: set[str], channels: set[str]) -> JobId | None:
        found = schedule(story.state, worker, 0.0, Offer(frozenset(types), frozenset(channels), {}))
        return found and found.job

    assert pick({"osbuild", "depsolve"}, {""}) == B
    assert pick({"osbuild", "depsolve"}, {"org-1"}) == A
    assert pick({"osbuild"}, {""}) is None
    assert pick({"depsolve"}, {"org-1"}) is None
    assert pick(set(), {"", "org-1"}) is None


def test_kinds_take_turns_as_their_builds_came() -> None:
    """Who can run jobs of several kinds takes what has waited longest, as if there were one queue."""
    typed = (job(A, job_type="b"), job(B, job_type="a"), job(C, job_type="b"))
    story = Story().given(*(start(one) for one in typed), beat(V, 0, slots=3))
    story.given(*(FinishUpload(build=build_id(number)) for number in (2, 1, 3)))
    offer = Offer(frozenset("ab"), frozenset({""}), {})
    found = schedule(story.state, story.state.workers[V], 0.0, offer)
    assert found is not None
    assert found.job == B
    story.given(CancelBuild(build=build_id(2), reason=""))
    found = schedule(story.state, story.state.workers[V], 0.0, offer)
    assert found is not None
    assert found.job == A


def test_opens_at_is_the_earliest_of_all_lines() -> None:
    """One job of the build waits for a holder of its result, the other for one of its dependency."""
    story = Story().given(beat(V, 0, added=(B,)), start(job(A), job(B, A), job(C, A)), READY, beat())
    story.given(beat(free=0, finished=(Result(job=A, lease=lease_id(1)),)))
    assert opens_at(story.state, 0.0) == DEPS
