"""What an agent makes of a wish, and of whatever else may be sent to it."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients import codec
from clients.agent.acting import environ
from clients.agent.branches import BadBuilders, Branches
from clients.codec import Malformed
from clients.requests import Outcome, Wish, read_answer, read_wish, write_answer, write_wish
from coordinator.http.buildapi_views import job
from events.catalog import Record
from events.codec import decode, encode
from events.commands import FinishRequest, LogRequest
from events.decide import Context, execute
from events.fold import replay
from events.ids import RequestId
from events.state import State

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(who=texts, what=st.dictionaries(texts, values, max_size=4), msg=texts)
def test_whatever_is_asked_and_answered_comes_through(who: str, what: dict[str, Any], msg: str) -> None:
    """Into the log and out of it, to an agent and back, and onto the page."""
    state, records = State(), list[Record]()
    text = codec.dumps(what).decode()
    records += execute(
        state, LogRequest(action="act", who=who, what=text), Context(7.5, lambda size: "0" * size)
    )
    wish = read_wish(write_wish(RequestId(1), "act", who, text, 7.5))
    assert wish.body == {**what, "when": 7, "request_id": 1}
    assert (wish.action, wish.who, wish.request) == ("act", who, 1)
    answer = write_answer(RequestId(1), Outcome(errors=True, msg=msg))
    assert read_answer(answer) == 1
    finish = FinishRequest(request=RequestId(1), answer=answer.decode())
    records += execute(state, finish, Context(9.5, lambda size: "0" * size))
    again = replay(decode(encode(record)) for record in records)
    assert again == state
    shown = json.loads(codec.dumps(job(again.requests[RequestId(1)])))
    assert (shown["what"], shown["who"]) == (what, who)
    assert shown["complete_data"] == {"body": {"errors": True, "msg": msg}, "request_id": 1}


@given(st.binary(max_size=60) | values.map(codec.dumps))
def test_whatever_is_sent_is_understood_or_refused(message: bytes) -> None:
    """With one kind of error."""
    for read in (read_wish, read_answer):
        with contextlib.suppress(Malformed):
            read(message)


def wish(**body: object) -> Wish:
    return Wish(
        action="new_build_for_builder", who="ann", body={"revision": "r", **body}, request=RequestId(1)
    )


def test_revision_and_properties_reach_jobs_as_they_are() -> None:
    """As variables, which no shell reads as commands; what is no text is JSON."""
    found = environ(wish(properties={"flavour": "$(rm)", "n": 3}, files=["a", "b"]), "main", "Linux")
    assert found == {
        "BRANCH": "main",
        "REVISION": "r",
        "BUILDER": "Linux",
        "FILES": "a b",
        "PROPERTY_flavour": "$(rm)",
        "PROPERTY_n": "3",
    }


@pytest.mark.parametrize("properties", [{"a b": "1"}, {"a": "{{.SourceDir}}"}, {"a": "\0"}, {"é": "1"}])
def test_what_a_worker_would_read_otherwise_is_refused(properties: dict[str, str]) -> None:
    """Its own variables among it."""
    with pytest.raises(ValueError, match="cannot be a variable"):
        environ(wish(properties=properties), "main", "Linux")


def test_builders_are_read_from_where_their_file_lies(tmp_path: Path) -> None:
    """A single builder may be asked for on a branch that is called NAME-selfserve."""
    file = tmp_path / "builders.toml"
    file.write_text(
        '[branches.main.builders]\nLinux = "a.toml"\nNight = {graph = "b.toml", kind = "nightly"}\n'
    )
    branches = Branches.read(file)
    branch = branches.get("main-selfserve")
    assert branch is not None
    assert [builder.graph for builder in branch.builders.values()] == [
        tmp_path / "a.toml",
        tmp_path / "b.toml",
    ]
    assert [builder.name for builder in branch.of_kind("nightly")] == ["Night"]
    assert branches.get("other") is None


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "other = 1",
        "branches = 1",
        "[branches]\nmain = 1",
        "[branches.main]\nrepos = 'x'",
        "[branches.main]\nrepo = 1",
        "[branches.main]\ngraph_branches = 'x'",
        "[branches.main]\nbuilders = 1",
        "[branches.main.builders]\nLinux = 1",
        "[branches.main.builders]\nLinux = {kind = 'pgo'}",
        "[branches.main.builders]\nLinux = {graph = 'x', kind = 'weekly'}",
        "[branches.main.builders]\nLinux = {graph = 'x', kinds = 'pgo'}",
    ],
)
def test_a_file_that_makes_no_sense_is_refused_by_name(tmp_path: Path, text: str) -> None:
    """And never half taken."""
    file = tmp_path / "builders.toml"
    file.write_text(text)
    with pytest.raises(BadBuilders, match=r"builders\.toml"):
        Branches.read(file)
