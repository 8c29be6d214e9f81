"""What people wrote is gone from a redacted log, and all that happened is still there."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from attrs import evolve, fields_dict

from events.catalog import ArtifactDropped, Command, Container, JobAdded, Record, SourcesDeclared, StoredFile
from events.codec import decode, encode
from events.commands import CancelBuild, Result, StartBuild
from events.fold import replay
from events.hindsight.redact import NOUNS, VOCABULARY, Redaction
from events.ids import WorkerId
from events.state import State
from events.validate import validate
from tests.events.story import OTHER, A, B, S, Story, beat, job, lease_id, start, store
from tests.golden.scenarios import HERE, READY

FIELDS = {*fields_dict(Command), *fields_dict(Container), *fields_dict(StoredFile)}
BOX = Container(image="registry.acme/warp:9", ports=("80/tcp",), health="/warpdrive", restart_policy="acme")
WORDS = re.compile(r"\w{4,}")
SECRET = "gcc -DPASSWORD=hunter22 /home/alice/geheim"


def secretive() -> list[Record]:
    """Every text that a client, a worker or a user may write says something of its own."""
    cmds = (
        Command(
            exec=("/opt/acme/bin/cc", SECRET), environ=("ACME_TOKEN=hunter22",), working_directory="/cwd"
        ),
        Command(cat_template="acme words", cat_output="/acme/out"),
    )
    first = evolve(job(A), name="compile-acme", cmds=cmds, inputs=("src/acme/rocket.c",), container=BOX)
    first = evolve(first, needs=("room=cellar",))
    sources = {S: "src/acme/rocket.c"}
    graph = StartBuild(jobs=(first, job(B, A)), sources=sources, name="acme-nightly", key="akey")
    worker = WorkerId("http://builder7.acme.example:9000")
    story = Story().given(graph, store(S), READY)
    story.given(beat(worker, session="acme-session", labels={"room": "cellar"}))
    failed = Result(job=A, lease=lease_id(1), exit_code=1, error="rocket.c:7: undeclared warpdrive")
    story.given(beat(worker, session="acme-session", finished=(failed,)))
    story.given(start(job(B)), CancelBuild(build=OTHER, reason="alice changed her mind"))
    return story.records


HISTORIES = [
    secretive(),
    *([decode(line) for line in path.read_bytes().splitlines()] for path in sorted(HERE.glob("*.jsonl"))),
]


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from (*(texts(key) if key not in FIELDS else ()), *texts(item))
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def written(records: list[Record]) -> Iterator[str]:
    """All that the fields of the records say, without their names."""
    for record in records:
        fields = msgspec.json.decode(encode(record))
        yield from texts([item for name, item in fields.items() if name != "type"])


def redacted(records: list[Record]) -> list[Record]:
    return list(Redaction().records(records))


@pytest.mark.parametrize("records", HISTORIES)
def test_no_word_survives(records: list[Record]) -> None:
    """Of four letters or more, unless it is a word of ours; not even within another word."""
    ours = {word for code in VOCABULARY for word in WORDS.findall(code)}
    ours |= {"http", "0" * 40, "file", *NOUNS.values()}
    words = {word for text in written(records) for word in WORDS.findall(text)} - ours
    left = "\n".join(written(redacted(records)))
    left = left.replace("not to be had by ", "")
    for code in sorted(VOCABULARY, key=len, reverse=True):
        left = left.replace(code, "")
    assert words
    assert {word for word in words if word in left} == set()


@pytest.mark.parametrize("records", HISTORIES)
def test_it_replays_to_the_same_state_under_other_names(records: list[Record]) -> None:
    """With the same counts and statuses, in the same order; and it can be read back."""
    other = redacted(records)
    assert [decode(encode(record)) for record in other] == other
    state, renamed = replay(records), replay(other)
    validate(renamed)
    assert shape(renamed) == shape(state)


def shape(state: State) -> Any:
    """What is left of a state without names."""
    builds = [(build.status, build.job_count, build.started_at) for build in state.builds.values()]
    jobs = [(j.status, j.attempt, j.losses) for graph in state.graphs.values() for j in graph.jobs.values()]
    held = [len(jobs) for jobs in state.held.values()]
    return builds, jobs, held, len(state.leases), len(state.results), len(state.workers), state.position


def test_the_same_text_has_the_same_pseudonym() -> None:
    """A path keeps its depth and shares its directories; ids stay hex of their length."""
    events = [record.event for record in redacted(secretive())]
    declared = next(event for event in events if isinstance(event, SourcesDeclared))
    added = next(event for event in events if isinstance(event, JobAdded))
    assert list(declared.files.values()) == ["dir1/dir2/file1"]
    assert added.inputs == ("dir1/dir2/file1",)
    assert re.fullmatch("[0-9a-f]{40}", added.job)
    assert added.commands[0].exec == ("word1", "word2")
    assert added.commands[0].environ == ("VAR1=text1",)
    workers = {getattr(event, "worker", None) for event in events} - {None}
    assert workers == {"http://worker1"}


def test_reasons_that_are_not_codes_are_texts() -> None:
    """But who could not fetch an artifact is still told, under the worker's new name."""
    dropped = ArtifactDropped(worker=WorkerId("v"), job=A, reason="not to be had by w")
    event = Redaction().event(dropped)
    assert isinstance(event, ArtifactDropped)
    assert (event.worker, event.reason) == ("worker1", "not to be had by worker2")
