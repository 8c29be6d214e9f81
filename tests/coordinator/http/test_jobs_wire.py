"""Whatever the job manager's dialect accepts becomes a build that the log can hold, and is told again."""

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients import jobs as wire
from clients.codec import Malformed
from coordinator.http import jobs_wire as translate
from events import codec
from events.commands import NewFile, StoreFile
from events.decide import Context, execute
from events.fold import replay
from events.ids import BlobDigest
from events.model import Build
from events.state import State
from events.validate import validate
from tests.events.story import Counter, Story, file_id, in_order

FILES = [file_id(number) for number in (1, 2, 3)]
JOB = "0a0a0a0a-0a0a-4a0a-8a0a-0a0a0a0a0a0a"

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
names = st.text(string.ascii_letters + "é ._-{}$'\"*", min_size=1, max_size=12)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
files = st.sampled_from(FILES)


@st.composite
def tasks(draw: st.DrawFn, *, plain: bool) -> dict[str, Any]:
    """A task as a client may write it, most of them such that they are accepted."""
    inputs = st.lists(files if plain else files | st.tuples(files, paths).map(list), max_size=4)
    optional = {
        "binary": files,
        "input_files": inputs,
        "output_files": st.lists(st.sampled_from(wire.STREAMS) | paths, max_size=4),
        "ttl": st.integers(0, wire.TTL_MAX),
        "unknown": st.none() | texts,
    }
    task: dict[str, Any] = draw(
        st.fixed_dictionaries({"command": texts | st.just("echo {{.x}} {{{")}, optional=optional)
    )
    return task


bodies = tasks(plain=True) | st.fixed_dictionaries(
    {"tasks": st.lists(tasks(plain=False), min_size=1, max_size=3)}, optional={"type": texts}
)


def stored() -> State:
    """Three files, two of them with the same bytes."""
    files = [NewFile(blob=BlobDigest(digit * 64), size=1, executable=digit == "2") for digit in "112"]
    return Story().given(*(StoreFile(file=file) for file in files)).state


def sent(body: object, user: str = "") -> tuple[State, Build]:
    """The state with the job of this body; raises `Malformed`."""
    state = stored()
    request = wire.read_job(json.dumps(body).encode())
    command = translate.start(JOB, request, user, state.file)
    records = execute(state, command, Context(1.0, Counter()))
    again = [codec.decode(codec.encode(record)) for record in records]
    assert again == records
    assert in_order(replay(again, stored())) == in_order(state)
    validate(state)
    [build] = state.builds.values()
    return state, build


@given(bodies, st.sampled_from(["", "ada", "Ådä"]))
def test_what_is_accepted_is_recorded_and_can_be_asked_for_again(body: dict[str, Any], user: str) -> None:
    """Encoded, replayed, and told: its spec asks for the very same."""
    try:
        state, build = sent(body, user)
    except Malformed:
        return
    told = translate.described(state, build)
    assert told["state"] == "SCHEDULED"
    assert told["results"] == ()
    assert build.labels == ({"user": user} if user else {})
    spec = json.loads(json.dumps(told["spec"]))
    other, same = sent(spec, user)
    assert in_order(other) == in_order(state)
    assert translate.described(other, same) == told


@given(bodies)
def test_no_command_of_a_task_is_taken_for_a_template(body: dict[str, Any]) -> None:
    """What a worker runs is what was sent, whatever braces there are."""
    try:
        state, build = sent(body)
    except Malformed:
        return
    asked = [task["command"] for task in body.get("tasks", [body])]
    ran = []
    for job in state.graphs[build.id].jobs.values():
        commands = [cmd.exec[2:] for cmd in job.spec.commands]
        plain = [words[0] for words in commands if len(words) == 1]
        pieces = ["".join(words[2:]) for words in commands if words[:2] == (translate._RUN_PIECES, "sh")]
        ran += plain + pieces
        texts = [text for cmd in job.spec.commands for text in (*cmd.exec, *cmd.environ)]
        assert {text for text in texts if "{{" in text} <= {"{{.OutputDir}}", "HOME={{.SourceDir}}"}
    assert ran == asked


VALUES = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(',}] "\\\\x'),
    lambda inner: st.lists(inner, min_size=1) | st.dictionaries(st.text(',}]"x'), inner, min_size=1),
)


def loose(value: object) -> str:
    """JSON with a comma before each closing bracket."""
    if isinstance(value, dict):
        return "{" + "".join(f"{json.dumps(key)}:{loose(item)},\n" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + "".join(f"{loose(item)} ," for item in value) + "]"
    return json.dumps(value)


@given(VALUES)
def test_a_comma_before_a_bracket_is_passed_over(value: object) -> None:
    """But not within a text."""
    assert wire.read_object(loose({"value": value}).encode()) == {"value": value}


@pytest.mark.parametrize(
    ("text", "is_end", "seconds"),
    [
        ("0", False, 0.0),
        ("1763770000.5", True, 1763770000.5),
        ("1970-01-02", False, 86_400.0),
        ("1970-01-02", True, 2 * 86_400.0),
        ("1970-01-01T01:00:00", False, 3600.0),
        ("1970-01-01T01:00:00Z", True, 3600.0),
        ("1970-01-01T01:00:00+01:00", False, 0.0),
    ],
)
def test_a_moment_is_a_date_a_time_or_seconds(text: str, is_end: bool, seconds: float) -> None:
    assert translate.moment("from", text, is_end=is_end) == seconds


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "1970-13-01", "1e400", "99999-01-01", "²"])
def test_nothing_else_is(text: str) -> None:
    with pytest.raises(Malformed, match="from must be"):
        translate.moment("from", text, is_end=False)


def test_names_are_of_one_line() -> None:
    """As much of the command as fits."""
    assert translate._name("a\n\tb\x07 c") == "a b c"
    assert translate._name("x" * 61) == "x" * 59 + "…"
