"""Why does a queued job not run: is it held for somebody, is nobody there, or is it not its turn?"""

from collections.abc import Iterator

from events.catalog import JobLeased, JobQueued, JobReused, WorkerLost
from events.hindsight.why.answers import Answer, Question
from events.hindsight.why.holding import Holders, holders
from events.hindsight.why.inquiry import Inquiry
from events.hindsight.why.then import DONE, STATUS_AFTER, Attendant, told
from events.hindsight.words import because, count, listed, seconds, short, worker
from events.ids import COORDINATOR, BuildId, Position, SpecDigest, WorkerId
from events.log import Subject
from events.queue import HOLDERS_MAX, meets
from events.transitions import JobStatus

# So many workers that have room are looked at, one after the other.
LOOKED_AT_MAX = 3


def explain(asked: Inquiry) -> Answer:
    """What keeps the job from running, and how many stand before it."""
    code, text, others = _held(asked) or _workers(asked)
    place = f"; {_place(asked)}" if code in ("no-room", "no-worker", "draining") else ""
    return Answer.about(asked.last, Question.WAITING, code, (f"{text}{place}", others))


def brief(asked: Inquiry) -> str:
    """The same in few words; `no free slot (4/4 busy)`."""
    if kept := _kept(asked):
        return f"kept for {kept[1]}"
    code, _, _ = _workers(asked)
    if code != "no-room":
        return _BRIEFLY[code]
    there = [each for each in asked.past.workers() if not each.joined.asking]
    slots = [each.joined.slots for each in there if not each.is_draining]
    return f"no free slot ({sum(slots)}/{sum(slots)} busy)" if all(slots) else "no worker has room"


_BRIEFLY = {
    "no-asker": "no worker asks for jobs of its type",
    "no-worker": "no worker is there",
    "unable": "no worker has what it needs",
    "draining": "every worker is leaving",
    "unsuitable": "no worker with room suits",
    "not-asked": "the worker with room has not asked yet",
    "placed": "the preferred worker has not asked yet",
}


def _held(asked: Inquiry) -> tuple[str, str, tuple[Position, ...]] | None:
    kept = _kept(asked)
    if kept is None:
        return None
    left, whom = kept
    return "held", f"it is kept for another {seconds(left)} for {whom}; then any worker may have it", ()


def _kept(asked: Inquiry) -> tuple[float, str] | None:
    """For a moment only those are asked who hold its result or a dependency: for how long still, and who."""
    if asked.added.job_type:
        return None
    queued = asked.last
    settings = asked.past.settings(queued.position)
    waited = asked.past.at - queued.at
    if waited >= settings.cache_timeout + settings.deps_timeout:
        return None
    digest = told(asked.moved_by(JobQueued)[-1], JobQueued).digest
    found = holders(asked.past, {asked.job, *asked.added.deps}, queued.position)
    own = [id_ for id_, held in found[asked.job].items() if held in (digest, "")]
    near = _near(asked, found)
    wait = (settings.cache_timeout if own else 0.0) + (settings.deps_timeout if own or near else 0.0)
    if waited >= wait:
        return None
    whom = [f"{worker(id_)} (holds its result)" for id_ in own]
    whom += [f"{worker(id_)} (holds {listed(names)})" for id_, names in near.items() if id_ not in own]
    return wait - waited, listed(whom)


def _near(asked: Inquiry, found: Holders) -> dict[WorkerId, list[str]]:
    """Workers that hold dependencies, and which; none where so many do that it makes no difference."""
    near: dict[WorkerId, list[str]] = {}
    for dependency in dict.fromkeys(asked.added.deps):
        for id_ in (each for each in found[dependency] if each != COORDINATOR):
            near.setdefault(id_, []).append(asked.graph.name(dependency))
    return near if len(near) <= HOLDERS_MAX else {}


def _workers(asked: Inquiry) -> tuple[str, str, tuple[Position, ...]]:
    if asked.added.job_type:
        channel = f" in the channel {asked.added.channel}" if asked.added.channel else ""
        what = f"jobs of the type {asked.added.job_type}{channel}"
        return "no-asker", f"the first worker that asks for {what} gets it", ()
    there = [each for each in asked.past.workers() if not each.joined.asking]
    if not there:
        return _nobody(asked)
    able = [each for each in there if meets(each.joined.labels, asked.added.needs)]
    if not able:
        return "unable", f"{_are_there(there)}, but none has {listed(asked.added.needs)}", ()
    taking = [each for each in able if not each.is_draining]
    if not taking:
        return "draining", f"{_are_there(able)}, about to leave and taking no more jobs", ()
    free = [each for each in taking if each.room]
    if not free:
        return "no-room", _taken(taking), ()
    obstacles = []
    for each in free[:LOOKED_AT_MAX]:
        why_not = obstacle(asked, each)
        if why_not is None:
            return _placed(asked) or _not_asked(asked, each)
        obstacles.append(f"{worker(each.id)} has room, but {why_not}")
    return "unsuitable", listed(obstacles), ()


def _nobody(asked: Inquiry) -> tuple[str, str, tuple[Position, ...]]:
    lost = asked.past.last(types=("WorkerLost",))
    if lost is None:
        return "no-worker", "no worker is there, nor ever was", ()
    event = told(lost, WorkerLost)
    last = f"the last, {worker(event.worker)}, was lost at record {lost.position}, {asked.ago(lost)} ago"
    return "no-worker", f"no worker is there: {last}: {because(event.reason)}", (lost.position,)


def _taken(there: list[Attendant]) -> str:
    slots = sum(each.joined.slots for each in there)
    if slots and all(each.joined.slots for each in there):
        return f"every slot is taken ({count(slots, 'slot')} of {count(len(there), 'worker')})"
    return f"{_are_there(there)}, and none has room"


def _are_there(there: list[Attendant]) -> str:
    return f"{count(len(there), 'worker')} {'is' if len(there) == 1 else 'are'} there"


def _placed(asked: Inquiry) -> tuple[str, str, tuple[Position, ...]] | None:
    """Where a policy says who has a job, others who have room do not get it."""
    placement = asked.past.settings(asked.last.position).placement
    if not placement:
        return None
    text = f"jobs are placed by the policy {placement}: it is for the worker that is preferred, which has not"
    return "placed", f"{text} asked yet, or for nobody, because no machine has room", ()


def _not_asked(asked: Inquiry, free: Attendant) -> tuple[str, str, tuple[Position, ...]]:
    room = count(free.room, "job")
    heard = f"it was last heard of at record {free.report.position}, {asked.ago(free.report)} ago"
    text = f"{worker(free.id)} has room for {room} and gets some when it speaks next; {heard}"
    return "not-asked", text, (free.report.position,)


def obstacle(asked: Inquiry, free: Attendant) -> str | None:
    """Why this worker cannot be given the job although it has room; None if it can."""
    about = asked.past.find(subject=Subject.worker(free.id), jobs=(asked.job,))
    leased = [record for record in about if isinstance(record.event, JobLeased)]
    for record in leased:
        if _is_live(asked, told(record, JobLeased)):
            return f"it runs other work under the same id (record {record.position})"
    if not about:
        return None
    held = holders(asked.past, (asked.job,), asked.past.upto)[asked.job].get(free.id, SpecDigest(""))
    if held in ("", told(asked.moved_by(JobQueued)[-1], JobQueued).digest):
        return None
    if not free.joined.native:
        return "it holds another spec's artifact of this id, which it would answer with"
    older = _served(asked, held)
    return f"it holds what {older} still needs under the same id" if older else None


def _is_live(asked: Inquiry, lease: JobLeased) -> bool:
    history = asked.past.history(lease.build, lease.job)
    return bool(history) and history[-1].event == lease


def _served(asked: Inquiry, held: SpecDigest) -> str:
    """The older build that goes on and needs this artifact; empty if none does."""
    for build in asked.past.active():
        if build == asked.build:
            break
        history = asked.past.history(build, asked.job)
        made_of = [e.digest for e in (r.event for r in history) if isinstance(e, JobQueued | JobReused)]
        if made_of[-1:] == [held] and STATUS_AFTER[type(history[-1].event).__name__] is DONE:
            return f"build {short(build)}"
    return ""


def _place(asked: Inquiry) -> str:
    """Who else waits."""
    build, mine = asked.build, asked.last.position
    before = sum(position < mine for position in _queued(asked, build))
    others = [len(list(_queued(asked, other))) for other in asked.past.active() if other != build]
    others = [number for number in others if number]
    own = f"{count(before, 'job')} of this build came before it" if before else "it is the next of its build"
    if not others:
        return own
    builds = count(len(others), "other build")
    return f"{own}; beside it {count(sum(others), 'job')} of {builds}, and builds take turns"


def _queued(asked: Inquiry, build: BuildId) -> Iterator[Position]:
    for position, type_, _ in asked.past.last_moves(build).values():
        if STATUS_AFTER[type_] is JobStatus.QUEUED:
            yield position
