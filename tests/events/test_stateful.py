"""Whatever clients, workers, liars and time do, in whatever order: State stays sound and builds can end."""

from typing import Any

from attrs import evolve
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from events import codec, snapshot
from events.catalog import Container, HeartbeatReceived, JobLeased, JobReopened, Record, WorkersHeard
from events.commands import (
    CancelBuild,
    Command,
    DropFile,
    DropSource,
    FinishRequest,
    FinishUpload,
    ForgetBuild,
    Heartbeat,
    HearWorkers,
    KeepOutputs,
    LogRequest,
    NewFile,
    NewJob,
    PrioritiseBuild,
    PublishRequest,
    ReportContainer,
    ReportUnhealthy,
    RequestWork,
    Result,
    ResumeAfterStall,
    Settings,
    StartBuild,
    StartCoordinator,
    StoreFile,
    Tick,
)
from events.decide import Context, execute
from events.decide.quiet import is_quiet
from events.decide.workers import next_deadline
from events.errors import Rejected
from events.fold import fold, replay
from events.hindsight.groups import groups
from events.ids import BlobDigest, BuildId, JobId, LeaseId, RequestId, WorkerId
from events.state import State
from events.transitions import BuildStatus
from events.validate import validate
from tests.events.hands import Hand
from tests.events.redecided import decided_again
from tests.events.story import A, B, C, Counter, D, S, T, file_id, in_order, job, store

BOX = Container(image="box:1", restarts=1)
IDS = (A, B, C, D, JobId("e" * 40))
SETTINGS = Settings(
    lease_seconds=10.0,
    worker_silence_seconds=15.0,
    job_seconds_max=60.0,
    cache_timeout=0.01,
    deps_timeout=0.1,
)
ROUNDS_MAX = 400

builds = st.integers(0, 5)
hands = st.integers(0, 3)
job_ids = st.sampled_from(IDS)
few_jobs = st.lists(job_ids, max_size=2, unique=True)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[NewJob, ...]:
    """Up to five jobs over shared ids, each in one of two specs; dependencies point backwards."""
    chosen = [id_ for id_ in IDS if draw(st.booleans())]
    return tuple(
        job(
            id_,
            *draw(st.lists(st.sampled_from(chosen[:place]), max_size=2) if place else st.just([])),
            inputs=draw(st.sampled_from([(), ("s",), ("s", "t")])),
            say=draw(st.sampled_from(["", "", "other"])),
            outputs=draw(st.sampled_from([(), (), ("stdout",)])),
            container=draw(st.sampled_from([None, None, BOX])),
        )
        for place, id_ in enumerate(chosen)
    )


class Farm(RuleBasedStateMachine):
    """The core under everything that can reach it through commands."""

    def __init__(self) -> None:
        super().__init__()
        # `shadow` is what the records say; `hushed` is told of each quiet report that somebody was heard.
        self.state, self.shadow, self.hushed = State(), State(), State()
        self.records: list[Record] = []
        self.batches: list[list[Record]] = []
        self.attempts: dict[tuple[BuildId, JobId], int] = {}
        self.given: list[LeaseId] = []
        self.now = 1000.0
        self.new_id = Counter()
        self.hands = [
            Hand(WorkerId("native-0"), native=True),
            Hand(WorkerId("native-1"), native=True, slots=1),
            Hand(WorkerId("plain"), native=False),
            Hand(WorkerId("mute"), native=False, mute=True),
        ]

    @initialize()
    def boot(self) -> None:
        self.submit(StartCoordinator(version="1", settings=SETTINGS))

    @rule(seconds=st.sampled_from([0.0, 0.0, 0.05, 1.0, 9.0, 20.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.submit(Tick())

    @rule(jobs=graphs(), keep_going=st.booleans(), key=st.sampled_from(["", "", "key"]))
    def client_starts_a_build(self, jobs: tuple[NewJob, ...], keep_going: bool, key: str) -> None:
        sources = {S: "s", T: "t"} if any(new.inputs for new in jobs) else {}
        self.submit(StartBuild(jobs=jobs, sources=sources, keep_going=keep_going, key=key))

    @rule(jobs=graphs(), keep_going=st.booleans())
    def client_builds(self, jobs: tuple[NewJob, ...], keep_going: bool) -> None:
        self.client_starts_a_build(jobs, keep_going, "")
        self.upload_all(self.pick(0))

    @rule(source=st.sampled_from([S, T]), content=st.sampled_from("00001"))
    def client_uploads(self, source: Any, content: str) -> None:
        self.submit(store(source, content))

    @rule(index=builds)
    def client_is_ready(self, index: int) -> None:
        self.submit(FinishUpload(build=self.pick(index)))

    @rule(index=builds)
    def client_uploads_everything_and_is_ready(self, index: int) -> None:
        self.upload_all(self.pick(index))

    @rule(content=st.sampled_from("0012"))
    def somebody_stores_a_file(self, content: str) -> None:
        """Some of its bytes are those of a source that a client gave that very id."""
        self.submit(StoreFile(file=NewFile(blob=BlobDigest(content * 64), size=1)))

    @rule(number=st.integers(1, 6))
    def file_is_deleted(self, number: int) -> None:
        self.submit(DropFile(file=file_id(number), reason="deleted"))

    @rule(index=builds, contents=st.text("012", max_size=2), error=st.sampled_from(["", "lost"]))
    def outputs_are_kept(self, index: int, contents: str, error: str) -> None:
        files = tuple(NewFile(blob=BlobDigest(content * 64), size=1) for content in contents)
        self.submit(KeepOutputs(build=self.pick(index), files=files, error=error))

    @rule(index=builds, forgotten=st.booleans())
    def build_is_cancelled(self, index: int, forgotten: bool) -> None:
        build = self.pick(index)
        self.submit(CancelBuild(build=build, reason="enough"))
        if forgotten:
            self.submit(ForgetBuild(build=build))

    @rule(index=builds, priority=st.integers(-2, 2), request=st.integers(0, 3))
    def build_is_prioritised(self, index: int, priority: int, request: int) -> None:
        self.submit(PrioritiseBuild(build=self.pick(index), priority=priority, request=RequestId(request)))

    @rule(what=st.text(max_size=8))
    def somebody_asks(self, what: str) -> None:
        self.submit(LogRequest(action="act", who="somebody", what=what))

    @rule(request=st.integers(1, 3), answer=st.text(max_size=8), undelivered=st.booleans())
    def a_request_goes_on(self, request: int, answer: str, undelivered: bool) -> None:
        id_ = RequestId(request)
        self.submit(FinishRequest(request=id_, answer=answer, undelivered=undelivered))
        self.submit(PublishRequest(request=RequestId(request + 1)))

    @rule(source=st.sampled_from([S, T]))
    def disk_loses_a_source(self, source: Any) -> None:
        self.submit(DropSource(source=source, reason="missing"))

    @rule(index=hands, count=st.integers(0, 2), lost=st.booleans(), error=st.sampled_from([None, None, "no"]))
    def worker_reports(self, index: int, count: int, lost: bool, error: str | None) -> None:
        hand = self.hands[index]
        self.beat(hand, hand.report(list(hand.runs)[:count], error=error), lost=lost)

    @rule(rounds=st.integers(1, 4))
    def everybody_works(self, rounds: int) -> None:
        for _ in range(rounds):
            self.now += 0.2
            for hand in self.hands:
                self.beat(hand, hand.report(list(hand.runs)))

    @rule(index=hands, dropped=few_jobs)
    def worker_drops_artifacts(self, index: int, dropped: list[JobId]) -> None:
        self.beat(self.hands[index], self.hands[index].report(dropped=dropped))

    @rule(index=st.integers(0, 1))
    def worker_restarts(self, index: int) -> None:
        self.hands[index].restart()
        self.beat(self.hands[index], self.hands[index].report())

    @rule(index=hands, others=st.lists(hands, max_size=3))
    def worker_reports_again_and_again(self, index: int, others: list[int]) -> None:
        """Until it says nothing new; then it is heard together with others, who may not even be there."""
        for _ in range(3):
            self.beat(self.hands[index], self.hands[index].report())
        self.submit(HearWorkers(workers=tuple(self.hands[n].id for n in (index, *others))))

    @rule(index=hands, slots_free=st.integers(0, 3))
    def worker_asks_again(self, index: int, slots_free: int) -> None:
        self.submit(RequestWork(worker=self.hands[index].id, slots_free=slots_free))

    @rule(pick=st.integers(1, 9), name=st.sampled_from("cd"))
    def container_runs(self, pick: int, name: str) -> None:
        """Of a lease that may have ended, for a job that may run in none."""
        self.submit(
            ReportContainer(lease=self.given[-pick:][0] if self.given else LeaseId(""), container=name)
        )

    @rule(pick=st.integers(1, 9))
    def health_check_fails(self, pick: int) -> None:
        self.submit(ReportUnhealthy(lease=self.given[-pick:][0] if self.given else LeaseId(""), error="500"))

    @rule(index=st.integers(0, 1), lost=few_jobs)
    def worker_cannot_fetch(self, index: int, lost: list[JobId]) -> None:
        hand = self.hands[index]
        for id_, lease in list(hand.runs.items())[:1]:
            del hand.runs[id_]
            result = Result(job=id_, lease=lease, exit_code=-1, error="lost", lost=tuple(lost) or IDS)
            self.beat(hand, evolve(hand.report(), finished=(result,)))

    @rule(
        index=hands,
        free=st.integers(0, 5),
        picks=st.lists(st.integers(1, 9), max_size=2),
        jobs=few_jobs,
        added=few_jobs,
        draining=st.booleans(),
        slots=st.integers(0, 3),
        leaving=st.sampled_from([False, False, False, True]),
    )
    def worker_lies(
        self,
        index: int,
        free: int,
        picks: list[int],
        jobs: list[JobId],
        added: list[JobId],
        draining: bool,
        slots: int,
        leaving: bool,
    ) -> None:
        hand = self.hands[index]
        leases = [self.given[-pick] for pick in picks if pick <= len(self.given)]
        results = tuple(Result(job=id_, lease=lease) for id_, lease in zip(jobs, leases, strict=False))
        lie = evolve(
            hand.report(),
            slots_free=free,
            running=tuple(leases) if hand.native else tuple(jobs),
            finished=results,
            added=tuple(added),
            draining=draining,
            slots=slots,
            leaving=leaving,
        )
        self.submit(lie)

    @rule(restart=st.booleans())
    def coordinator_was_away(self, restart: bool) -> None:
        self.now += 40.0
        if restart:
            self.submit(StartCoordinator(version="2", settings=SETTINGS))
        else:
            self.submit(ResumeAfterStall(seconds=40.0))

    @rule()
    def snapshot_is_taken(self) -> None:
        """And what follows is folded onto that."""
        _, self.shadow = snapshot.load(b"".join(snapshot.parts(self.shadow, b"")))

    @invariant()
    def state_is_sound(self) -> None:
        validate(self.state)
        assert in_order(self.shadow) == in_order(self.state), "the records do not say all that happened"
        assert in_order(self.hushed) == in_order(self.state), "a quiet report changed more than its time"

    @invariant()
    def alarm_is_set_for_the_future(self) -> None:
        """A tick acts on every deadline that is over, so the alarm cannot ring for ever."""
        self.submit(Tick())
        deadline = next_deadline(self.state)
        assert deadline is None or deadline > self.now

    def teardown(self) -> None:
        """The liars fall silent, honest workers come, and every build that is uploaded ends."""
        for build in list(self.state.active):
            self.upload_all(build)
        self.now += 1000.0
        self.submit(Tick())
        self.state_is_sound()
        honest = [Hand(WorkerId(f"honest-{n}"), native=True) for n in (1, 2)]
        for _ in range(ROUNDS_MAX):
            if not self.state.active:
                break
            self.now += 0.2
            for hand in honest:
                self.beat(hand, hand.report(list(hand.runs)))
                self.state_is_sound()
        assert not self.state.active, f"builds do not end: {self.state.graphs}"
        assert in_order(replay(self.records)) == in_order(self.state)
        assert list(groups(self.records)) == self.batches
        decided_again(self.batches)

    # --- how the rules do it

    def submit(self, command: Command) -> list[Record]:
        """Carry out a command; refusals are answers too, and change nothing."""
        before = in_order(self.state)
        active = set(self.state.active)
        quiet = isinstance(command, Heartbeat) and is_quiet(self.state, command, self.now)
        try:
            records = execute(self.state, command, Context(self.now, self.new_id))
        except Rejected:
            assert in_order(self.state) == before
            return []
        self.records += records
        self.batches += [records] if records else []
        for record in records:
            fold(self.shadow, codec.decode(codec.encode(record)))
            fold(self.hushed, record._replace(event=_hushed(records)) if quiet else record)
            self.watch(record, active)
        return records

    def watch(self, record: Record, active: set[BuildId]) -> None:
        """Attempts only ever rise, and only a build that goes on takes a success back."""
        match record.event:
            case JobLeased(build=build, job=id_, lease=lease, attempt=attempt):
                self.given.append(lease)
                assert attempt == self.attempts.get((build, id_), 0) + 1
                self.attempts[build, id_] = attempt
            case JobReopened(build=build):
                assert build in active
            case _:
                pass

    def beat(self, hand: Hand, report: Heartbeat, *, lost: bool = False) -> None:
        """Report and take the answer, unless it gets lost on the way."""
        records = self.submit(report)
        if not lost:
            hand.take(self.state, records)

    def upload_all(self, build: BuildId) -> None:
        if build in self.state.active and self.state.builds[build].status is BuildStatus.UPLOADING:
            for source in self.state.missing_sources(build):
                self.submit(store(source))
            self.submit(FinishUpload(build=build))

    def pick(self, index: int) -> BuildId:
        """One of the newest builds, or one that there never was."""
        known = list(self.state.builds)[::-1]
        return known[index] if index < len(known) else BuildId("f" * 40)


def _hushed(records: list[Record]) -> WorkersHeard:
    """What stands for the one record of a quiet report."""
    [record] = records
    assert isinstance(record.event, HeartbeatReceived)
    assert record.event == HeartbeatReceived(worker=record.event.worker, slots_free=record.event.slots_free)
    return WorkersHeard(workers=(record.event.worker,))


TestFarm = Farm.TestCase
TestFarm.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
