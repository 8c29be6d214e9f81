"""Recorded decisions beside today's, up to the first that differs."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import msgspec

from clients.cli import printing
from clients.cli.errors import usage
from clients.cli.exits import Exit
from clients.cli.log.replaying import state_at, stretch, unhindered
from clients.cli.log.showing import moment
from clients.cli.texts import columns, count, duration, plain, short
from events.catalog import BuildStarted, Record
from events.codec import encode
from events.commands import Command
from events.hindsight.redecide import Difference, Effect, Today, Verdict, effect, redecide, today
from events.hindsight.sentences import Teller
from events.ids import BEGINNING, Position
from events.sqlite import SqliteReader
from events.state import State

# Of a command that has very many records, so many on either side of the difference.
SHOWN = 8
TEXT_CHARS_MAX = 76


def show(reader: SqliteReader, since: int, *, as_json: bool) -> int:
    """0 if no decision differs, else 1 and the first that does."""
    head = reader.head()
    if since > head:
        raise usage(f"the log ends at position {head}", fix="choose one up to that")
    with unhindered():
        verdict = redecide(State(), stretch(reader, BEGINNING, head), Position(since))
    if verdict.difference is None:
        _same(verdict, as_json=as_json)
        return Exit.OK
    state = state_at(reader, Position(verdict.difference.recorded[0].position - 1))
    now = today(state, verdict.difference.given)
    done = effect(state, verdict.difference, stretch(reader, verdict.difference.recorded[-1].position, head))
    if as_json:
        printing.as_json(_values(verdict, verdict.difference, now, done))
    else:
        printing.lines(_told(state, verdict, verdict.difference, now, done))
    return Exit.JOB_FAILED


def _same(verdict: Verdict, *, as_json: bool) -> None:
    if as_json:
        told = {"commands": verdict.commands, "position": verdict.position, "is_cut_off": verdict.is_cut_off}
        printing.as_json({"differs": False, **told})
        return
    printing.line(
        f"no decision differs: {count(verdict.commands, 'command')} up to position {verdict.position}"
    )
    if verdict.is_cut_off:
        printing.note("the log ends in the midst of a command")


# --- for people


def _told(state: State, verdict: Verdict, found: Difference, now: Today, done: Effect) -> list[str]:
    first = found.recorded[0]
    command = f"{type(found.given.command).__name__}, records from {first.position} on"
    return [
        f"today's decision differs at {found.position}, after {count(verdict.commands, 'command')} alike",
        f"{moment(found.given.at)}  {command}: {plain(_sentences(state, [first])[0])}",
        *_side_by_side(state, found, now),
        *_effect(done),
        "what follows rests on another state and was not compared",
    ]


def _side_by_side(state: State, found: Difference, now: Today) -> list[str]:
    recorded = _sentences(state, found.recorded)
    decided = [*_sentences(state, now.records), *([f"refused: {now.refusal}"] if now.refusal else [])]
    began_at, place = found.recorded[0].position, found.position - found.recorded[0].position
    rows = [
        (f"{began_at + number}", _cut(left), "≠" if number >= place and left != right else "", _cut(right))
        for number, (left, right) in enumerate(zip_longest(recorded, decided, fillvalue=""))
        if abs(number - place) <= SHOWN
    ]
    return columns(("POSITION", "RECORDED", "", "TODAY"), rows)


def _sentences(state: State, records: Sequence[Record]) -> list[str]:
    """The records in words, with the names that State knows."""
    teller = Teller(names_builds=len(state.active) > 1)
    for id_, graph in state.graphs.items():
        build = state.builds[id_]
        started = BuildStarted(build=id_, name=build.name, jobs=build.job_count)
        teller.learn(Record(build.position, build.started_at, started))
        for job in graph.jobs.values():
            teller.learn(Record(build.position, build.started_at, job.spec))
    said = []
    for record in records:
        said.append(teller.say(record))
        teller.learn(record)
    return said


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARS_MAX else f"{text[: TEXT_CHARS_MAX - 1]}…"


def _effect(done: Effect) -> list[str]:
    if not done.builds:
        return ["no build was active then"]
    names = ", ".join(short(build) for build in done.builds)
    what = f"{count(len(done.builds), 'build')} {'was' if len(done.builds) == 1 else 'were'} active: {names}"
    return [
        what,
        f"  the last of them ended {_after(done.logged)}",
        f"  simulated from the recorded decision on: {_after(done.recorded)}",
        f"  simulated from today's decision on: {_after(done.today)}{_less(done)}",
    ]


def _after(seconds: float | None) -> str:
    return "never" if seconds is None else f"{duration(seconds)} later"


def _less(done: Effect) -> str:
    if done.recorded is None or done.today is None:
        return ""
    saved = done.recorded - done.today
    if abs(saved) < 0.05:
        return ", the same"
    return f", {duration(abs(saved))} {'sooner' if saved > 0 else 'later'} than that"


# --- for programs


def _values(verdict: Verdict, found: Difference, now: Today, done: Effect) -> dict[str, Any]:
    return {
        "differs": True,
        "commands": verdict.commands,
        "position": found.position,
        "at": found.given.at,
        "command": {"type": type(found.given.command).__name__, **_fields(found.given.command)},
        "recorded": [_record(record) for record in found.recorded],
        "today": [_record(record) for record in now.records],
        "refusal": now.refusal,
        "builds": list(done.builds),
        "makespan": {"logged": done.logged, "recorded": done.recorded, "today": done.today},
    }


def _fields(command: Command) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(command)
    return fields


def _record(record: Record) -> Any:
    return msgspec.json.decode(encode(record))
