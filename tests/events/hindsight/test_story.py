"""Stories: exactly the records that touched their topic, each as a sentence."""

import re
from collections.abc import Iterator

from events.catalog import (
    BuildStarted,
    CoordinatorStarted,
    Event,
    HeartbeatReceived,
    JobCancelled,
    JobQueued,
    JobReleased,
    Record,
    TimePassed,
    WorkerJoined,
    WorkerLost,
    WorkersHeard,
    WorkRequested,
)
from events.codec import decode
from events.commands import FinishUpload, Result
from events.hindsight.sentences import Teller
from events.hindsight.story import Topic, tell
from events.hindsight.words import REASONS
from events.ids import JobId, LeaseId, Position, SpecDigest
from tests.events.story import (
    BUILD,
    LEASE,
    OTHER,
    A,
    B,
    D,
    Story,
    V,
    W,
    added,
    beat,
    failed,
    heard,
    job,
    lease_id,
    leased,
    start,
)
from tests.golden.scenarios import HERE
from tests.test_docs import table

STARTED = CoordinatorStarted(
    epoch=1,
    version="1.0",
    lease_seconds=30,
    worker_silence_seconds=30,
    job_seconds_max=60,
    cache_timeout=0,
    deps_timeout=0,
    losses_max=3,
)


def golden() -> list[Record]:
    lines = [line for path in sorted(HERE.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    return [decode(line) for line in lines]


def recorded(*events: Event) -> Iterator[Record]:
    """One second from each to the next."""
    for place, event in enumerate(events, start=1):
        yield Record(Position(place), float(place), event)


def told(topic: Topic, *events: Event) -> list[tuple[int, str]]:
    return [(each.position, each.text) for each in tell(recorded(*events), topic)]


def history(name: str) -> list[Record]:
    return [decode(line) for line in (HERE / f"{name}.jsonl").read_bytes().splitlines()]


def test_a_build_is_told_by_its_own_records() -> None:
    """All of them, and no other."""
    records = history("two_builds_share_and_reuse")
    story = list(tell(records, Topic(build=OTHER)))
    own = [record.position for record in records if getattr(record.event, "build", None) == OTHER]
    assert [each.position for each in story][:4] == [*own[:3], own[4]]
    assert {each.position for each in story} <= set(own) - {own[3]}
    assert [each.text for each in story][:4] == [
        "build 00000000 was handed in: 2 jobs",
        "it is made from 1 source file",
        "2 jobs were added: a, b",
        "the client said upload-done",
    ]
    assert [each.text for each in story][-3:] == [
        "job b succeeded on worker v after 2.0 s",
        "build 00000000 succeeded after 4.0 s",
        "build 00000000 was forgotten; its records stay",
    ]


def test_what_happens_to_many_jobs_at_once_is_told_together() -> None:
    """The first are named; what ran is told by itself, and so is what happens later."""
    ids = [JobId(f"{number:040x}") for number in range(16, 24)]
    queued = [JobQueued(build=BUILD, job=id_, digest=SpecDigest("d")) for id_ in ids]
    cancelled = [JobCancelled(build=BUILD, job=id_, reason="build-failed") for id_ in ids[:3]]
    events: list[Event] = [
        *(added(job(id_)) for id_ in ids),
        *queued[:7],
        queued[7],
        leased(ids[0]),
        *cancelled,
    ]
    story: Event = BuildStarted(build=BUILD, jobs=8)
    records = [Record(Position(place), 1.0, event) for place, event in enumerate([story, *events], start=1)]
    later = records[:16] + [record._replace(at=2.0) for record in records[16:]]
    first_five = "0, 0, 0, 0, 0"
    assert [each.text for each in tell(later, Topic(build=BUILD))] == [
        "build 00000000 was handed in: 8 jobs",
        f"8 jobs were added: {first_five} and 3 more",
        f"7 jobs are queued: {first_five} and 2 more",
        "job 0 is queued",
        "job 0 was given to worker w after 1.0 s in the queue: nobody was nearer to the job",
        "job 0 was cancelled on worker w after 0 ms: another job failed",
        "2 jobs were cancelled: another job failed: 0, 0",
    ]


def test_a_build_is_told_with_what_befell_its_workers() -> None:
    """And the coordinator while something ran; what befell others is not told."""
    started = BuildStarted(build=BUILD, jobs=2)
    lost = [WorkerLost(worker=worker, reason="silent") for worker in (V, W)]
    released = JobReleased(build=BUILD, job=A, lease=LEASE, reason="worker-lost")
    events: list[Event] = [
        STARTED,
        started,
        added(job(A)),
        leased(A),
        STARTED,
        released,
        *lost,
        STARTED,
        lost[1],
    ]
    story = told(Topic(build=BUILD), *events)
    assert [place for place, _ in story] == [2, 3, 4, 5, 6, 8]
    assert story[-1][1] == "worker w was lost: nothing was heard of it for too long"


def test_a_job_is_told_with_the_workers_that_spoke_of_it() -> None:
    """And with the restart of the coordinator that renewed its lease, but no other."""
    story = told(
        Topic(build=BUILD, job=A),
        STARTED,
        added(job(A)),
        added(job(B)),
        leased(A),
        STARTED,
        HeartbeatReceived(worker=W, slots_free=0, unreported=(LEASE,)),
        HeartbeatReceived(worker=W, slots_free=0, unreported=(LeaseId("other"),)),
        JobReleased(build=BUILD, job=A, lease=LEASE, reason="never-taken"),
        JobReleased(build=OTHER, job=A, lease=LEASE, reason="never-taken"),
        HeartbeatReceived(worker=W, slots_free=0, strays=(LEASE,)),
        STARTED,
        JobCancelled(build=BUILD, job=A, reason="whim"),
    )
    assert [place for place, _ in story] == [2, 4, 5, 6, 8, 10, 12]
    assert story[-1][1].endswith(": whim")


def test_a_job_of_any_build() -> None:
    """Then each sentence says of which."""
    story = told(Topic(job=A), leased(A), leased(A, 2, build=OTHER), leased(B, 3), failed(A, 2, build=OTHER))
    assert [place for place, _ in story] == [1, 2, 4]
    assert all("of build 00000000" in text for _, text in story)


def test_a_worker_is_told_with_what_became_of_its_jobs() -> None:
    """Although those records do not name it."""
    story = told(
        Topic(worker=W),
        WorkerJoined(worker=V, native=True),
        WorkerJoined(worker=W, slots=2, labels={"arch": "arm64"}, native=True),
        leased(A),
        leased(B, 2, V),
        failed(B, 2),
        failed(A),
        JobCancelled(build=BUILD, job=A, reason="build-cancelled"),
        WorkerLost(worker=W, reason="silent"),
        WorkerLost(worker=V, reason="silent"),
    )
    assert [place for place, _ in story] == [2, 3, 6, 8]
    assert story[0][1] == "worker w joined: 2 slots, arch=arm64"
    assert story[3][1] == "worker w was lost: nothing was heard of it for too long"


def test_reports_of_nothing_are_told_together() -> None:
    """Up to the next thing that happened; one alone stands for itself."""
    story = told(
        Topic(worker=W),
        heard(),
        heard(),
        TimePassed(),
        heard(V),
        WorkRequested(worker=W, slots_free=1),
        leased(A),
        heard(free=0),
        HeartbeatReceived(worker=W, slots_free=0, draining=True),
        heard(),
        heard(),
    )
    assert story == [
        (1, "worker w reported: 1 slot free; 3 reports until record 5, 4.0 s later"),
        (6, "job aaaaaaaa of build 00000000 was given to worker w: nobody was nearer to the job"),
        (7, "worker w reported: 0 slots free"),
        (8, "worker w reported: 0 slots free; is leaving"),
        (9, "worker w reported: 1 slot free; 2 reports until record 10, 1.0 s later"),
    ]


def test_reports_heard_together_are_each_workers_own() -> None:
    """And are told together with those that it made alone."""
    both, other = WorkersHeard(workers=(V, W)), WorkersHeard(workers=(V,))
    assert told(Topic(worker=W), heard(), other, both, both, leased(A), both, other) == [
        (1, "worker w reported: 1 slot free; 3 reports until record 4, 3.0 s later"),
        (5, "job aaaaaaaa of build 00000000 was given to worker w: nobody was nearer to the job"),
        (6, "worker v, worker w reported: nothing new"),
    ]
    assert told(Topic(job=A), leased(A), both)[1:] == []


def test_a_report_names_the_jobs_it_speaks_of() -> None:
    """As far as they are known; of many, the first."""
    strays = tuple(f"{number:032x}" for number in range(20, 27))
    story = told(
        Topic(worker=W),
        leased(D),
        HeartbeatReceived(worker=W, slots_free=0, finished=(LEASE,), strays=strays),
    )
    assert story[1][1].startswith("worker w reported: 0 slots free; ended lease 00000000; speaks of lease 0")
    assert story[1][1].endswith("and 2 more, not given to it")


def test_nothing_is_told_of_what_nothing_touched() -> None:
    assert told(Topic(worker=V), STARTED, leased(A), heard()) == []


def test_every_record_has_a_sentence() -> None:
    """Even without anything known of what came before it."""
    for record in golden():
        text = Teller(names_builds=True).say(record)
        assert text
        assert not re.search(r"None|events\.|  |: $", text), text


def test_every_reason_has_words() -> None:
    """All that the manual explains."""
    assert {row[1].strip("`") for row in table("Why: the reason codes")} <= set(REASONS)


def test_the_time_that_fetching_took_is_part_of_the_run() -> None:
    """Told where it took any."""
    slow = Result(job=A, lease=lease_id(1), fetch_seconds=1.5)
    story = (
        Story().given(start(job(A)), FinishUpload(build=BUILD), beat()).when(beat(finished=(slow,)), at=2.0)
    )
    told = [each.text for each in tell(story.records, Topic(build=BUILD))]
    assert told[-2] == "job a succeeded on worker w after 2.0 s, 1.5 s of it fetching"
