"""What a request asks for in its query; raises `Rejected` where that makes no sense."""

from quart import request

from coordinator.builds import resolve
from events.errors import MALFORMED, Rejected
from events.ids import BuildId, JobId
from events.model import Job
from events.state import State

DIGITS_MAX = 16


def number(parameter: str, default: int) -> int:
    """A count."""
    text = request.args.get(parameter)
    if text is None:
        return default
    if not _is_number(text):
        raise Rejected(MALFORMED, f"{parameter} must be a whole number from 0 on, not {text[:40]!r}")
    return int(text)


def offset(parameter: str, default: int) -> int:
    """A place in what is there: a count from its beginning or, with a minus, from its end."""
    text = request.args.get(parameter, "")
    return -int(text[1:]) if text[:1] == "-" and _is_number(text[1:]) else number(parameter, default)


def stream() -> str:
    """One of the two that a job prints to."""
    text = request.args.get("stream", "stdout")
    if text not in ("stdout", "stderr"):
        raise Rejected(MALFORMED, f"stream must be stdout or stderr, not {text[:40]!r}")
    return text


def labels() -> dict[str, str]:
    """What a build is to be labelled with: `label=NAME=VALUE`, any number of times."""
    pairs = [text.partition("=") for text in request.args.getlist("label")]
    if bad := [name for name, equals, _ in pairs if not (name and equals)]:
        raise Rejected(MALFORMED, f"label must be NAME=VALUE, not {bad[0][:40]!r}")
    return {name: value for name, _, value in pairs}


def job(state: State, name: str, id_: str) -> tuple[BuildId, Job]:
    """The build of this name, and its job."""
    build = resolve(state, name)
    return build, state.job(build, JobId(id_))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX
