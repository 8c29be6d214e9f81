"""Whatever is accepted passes through log, replay and stream as it was: no value can break them."""

import json
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from clients import compact
from clients import composer as wire
from clients.codec import Malformed, loads
from coordinator.single import single
from events import codec
from events.catalog import JobAdded, JobFailed, Record
from events.commands import AnswerLease, Command, NewJob, RegisterWorker, RequestWork, Result
from events.decide import Context, execute
from events.fold import replay
from events.ids import ANONYMOUS, as_uuid
from events.state import State

TEXT = st.text(max_size=20)
SPACE = st.sampled_from(["", " ", "\n\t"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


@st.composite
def written(draw: st.DrawFn) -> str:
    """A value as somebody may have written it: in their spaces, with their escapes."""
    value = draw(VALUES)
    spaces = (draw(SPACE) + "," + draw(SPACE), draw(SPACE) + ":" + draw(SPACE))
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), separators=spaces, allow_nan=True)
    return draw(SPACE) + text + draw(SPACE)


def run(state: State, command: Command) -> list[Record]:
    numbers = iter(range(1, 100))
    return execute(state, command, Context(1000.0, lambda size: f"{next(numbers):0{2 * size}x}"))


@given(args=written(), result=written(), name=st.text(min_size=1, max_size=20), channel=TEXT)
@settings(deadline=None)
def test_what_is_accepted_comes_through(args: str, result: str, name: str, channel: str) -> None:
    """Arguments and results to the byte, types and channels as they are."""
    try:
        fields = json.dumps({"type": name, "channel": channel})[1:-1].encode()
        sent = wire.read_job(b"{" + fields + b',"args":' + args.encode() + b"}")
        answer = wire.read(b'{"result":' + result.encode() + b"}", wire.UpdateJobRequest)
        told, error = wire.text_of(answer.result), wire.error_of(wire.text_of(answer.result))
        text = wire.text_of(sent.args)
    except (Malformed, UnicodeEncodeError):
        return  # refused before anything is stored
    assert (text, told) == (args.strip(), result.strip())
    assert (sent.type, sent.channel) == (name, channel)
    state = State()
    uuid = as_uuid("1" * 32)
    id_ = wire.job_of(uuid)
    assert id_ is not None
    job = NewJob(id=id_, name=sent.type, job_type=sent.type, channel=sent.channel, args=text)
    records = run(state, RegisterWorker(worker=ANONYMOUS))
    records += run(state, single(state, job, uuid, []))
    records += run(state, RequestWork(worker=ANONYMOUS, slots_free=1, types=(name,), channels=(channel,)))
    [lease] = state.heard
    verdict = Result(job=id_, lease=lease, exit_code=0 if error is None else 1, error=error)
    records += run(state, AnswerLease(lease=lease, result=verdict))
    lines = [codec.encode(record) for record in records]
    assert [codec.decode(line) for line in lines] == records
    assert replay(records) == state
    assert compact.decode(compact.encode(lines)) == [loads(line) for line in lines]
    [added] = [record.event for record in records if isinstance(record.event, JobAdded)]
    assert added.args == args.strip()
    failed = [record.event.error for record in records if isinstance(record.event, JobFailed)]
    assert failed == ([] if error is None else [error])
    given_ = wire.RequestJobResponse(
        id="", location="", artifact_location="", type="", args=wire.raw(added.args)
    )
    again: Any = wire.read(wire.write(given_), wire.RequestJobResponse).args
    assert bytes(again).decode() == args.strip()
