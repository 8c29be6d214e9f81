"""Decisions about requests: log them, say that the broker has them, say how they went."""

from collections.abc import Iterator

from events.catalog import Event, RequestFinished, RequestLogged, RequestPublished
from events.commands import FinishRequest, LogRequest, PublishRequest
from events.errors import MALFORMED, REQUESTS_OPEN, Rejected
from events.ids import RequestId
from events.state import State
from events.transitions import RequestStatus

# A broker, or an agent, that is away for long must not fill the memory.
OPEN_MAX = 10_000
NAME_CHARS_MAX = 256
TEXT_CHARS_MAX = 64 << 10


def log(state: State, command: LogRequest) -> Iterator[Event]:
    """The wish is recorded; all else about it follows later."""
    if not command.action or len(command.action) > NAME_CHARS_MAX or len(command.who) > NAME_CHARS_MAX:
        raise Rejected(MALFORMED, f"names have 1 to {NAME_CHARS_MAX} characters")
    _check(command.what)
    if len(state.open_requests) >= OPEN_MAX:
        raise Rejected(REQUESTS_OPEN, f"{OPEN_MAX} wait to be carried out")
    request = RequestId(state.requests_logged + 1)
    yield RequestLogged(request=request, action=command.action, who=command.who, what=command.what)


def publish(state: State, command: PublishRequest) -> Iterator[Event]:
    """The broker has it. Said again, or of one that has finished meanwhile, it is no news."""
    if state.request(command.request).status is RequestStatus.LOGGED:
        yield RequestPublished(request=command.request)


def finish(state: State, command: FinishRequest) -> Iterator[Event]:
    """The first answer counts; messages may arrive twice."""
    status = state.request(command.request).status
    if status is RequestStatus.FINISHED or (command.undelivered and status is not RequestStatus.LOGGED):
        return
    _check(command.answer)
    yield RequestFinished(request=command.request, answer=command.answer)


def _check(text: str) -> None:
    if len(text) > TEXT_CHARS_MAX:
        raise Rejected(MALFORMED, f"a request has at most {TEXT_CHARS_MAX} characters")
