"""Whatever ends a verb becomes, here and only here, a message with its fix and an exit code.

The anatomy is the same for every error: what, the cause in this case, what to do about it; and under
`--json` one object on stdout instead.
"""

import errno
import json
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from clients.cli import exits
from clients.cli.exits import Code, Exit, Failure

SCHEMA_VERSION = 1
CAUSE_CHARS = 2000
# What a server says that has never heard of such a request, or sends whoever asks elsewhere.
_UNKNOWN_THERE = (301, 302, 303, 307, 308, 404, 405, 501)
# We ask for nothing that a coordinator of our version does not have.
_WRONG_PATH = "correct the path in its URL; or it is of another version: see `terzetto doctor`"
_BIND_ERRNOS = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES)


def report(error: BaseException, arguments: Sequence[str]) -> int:
    """Tell the user about the error that ended the command; returns the exit code."""
    error = gravest(error)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else Exit.INFRASTRUCTURE
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return Exit.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        _silence_stdout()
        return Exit.PIPE
    failure = explain(error)
    if "--json" in _options(arguments):
        click.echo(json.dumps(as_json(failure), ensure_ascii=False))
    else:
        click.echo(anatomy(failure), err=True)
    return failure.exit


def anatomy(failure: Failure) -> str:
    lines = [f"error[{failure.code}]: {failure.message}"]
    if failure.cause and not failure.message.endswith(failure.cause):
        lines.append("cause: " + failure.cause.replace("\n", "\n       "))
    if failure.fix:
        lines.append(f"fix: {failure.fix}")
    return "\n".join(lines)


def as_json(failure: Failure) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "Error",
        "code": failure.code,
        "message": failure.message,
        "cause": failure.cause,
        "fix": failure.fix,
        "exit_code": int(failure.exit),
    }


def usage(cause: str, *, fix: str = "") -> Failure:
    """The command line is wrong."""
    return Failure(exits.USAGE, cause, fix=fix)


def explain(error: BaseException) -> Failure:
    """The failure behind any exception; one that nobody foresaw is a bug, and its traceback is kept."""
    return _foreseen(error) or _of_bug(error)


def is_bug(error: BaseException) -> bool:
    """Did nobody foresee this, or one of these?"""
    return isinstance(error, Exception) and _foreseen(gravest(error)) is None


def _foreseen(error: BaseException) -> Failure | None:
    if isinstance(error, Failure):
        return error
    if isinstance(error, click.ClickException):
        return _of_click(error)
    for explain_some in (_of_peer, _of_files, _of_log, _of_worker, _of_graph, _of_system):
        if failure := explain_some(error):
            return failure
    return None


def _of_click(error: click.ClickException) -> Failure:
    context = getattr(error, "ctx", None)
    fix = f"see `{context.command_path} --help`" if context else ""
    close = getattr(error, "possibilities", None)
    if close:
        fix = f"did you mean `{sorted(close)[0]}`?"
        return usage(getattr(error, "message", error.format_message()), fix=fix)
    return usage(error.format_message(), fix=fix)


def _of_peer(error: BaseException) -> Failure | None:
    # An exception of a module that nobody imported cannot have been raised; importing costs time.
    if "clients.wire" not in sys.modules:
        return None
    from clients import codec, live, wire

    if isinstance(error, live.OutcomeUnknown):
        return Failure(exits.OUTCOME_UNKNOWN, str(error))
    if isinstance(error, wire.Unreachable):
        return Failure(exits.UNREACHABLE, str(error))
    if isinstance(error, wire.Refused):
        return refused(error.status, error.text)
    if isinstance(error, codec.Malformed | wire.TooLarge):
        return Failure(exits.INCOMPATIBLE, str(error))
    return None


def refused(status: int, text: str) -> Failure:
    """What a coordinator's refusal means here; its own code and words are passed on where it has any."""
    from clients.json_values import reason_of
    from events.errors import ROUTE_UNKNOWN

    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not (isinstance(body, dict) and body.get("kind") == "Error"):
        cause = reason_of(text)[:CAUSE_CHARS] or f"status {status}"
        if status in _UNKNOWN_THERE and not isinstance(body, dict):
            said = "" if cause.lstrip().startswith("<") else f": {cause}"  # nobody reads a page here
            return Failure(exits.INCOMPATIBLE, f"it answered with status {status}{said}")
        return Failure(_code_of(status), cause)
    if body.get("code") == ROUTE_UNKNOWN.code:
        return Failure(exits.INCOMPATIBLE, "it is a coordinator, but has no such address", fix=_WRONG_PATH)
    code = _code_of(status)
    failure = Failure(code, str(body.get("reason") or ""), fix=str(body.get("fix") or ""))
    failure.code = str(body.get("code") or code.code)
    failure.message = str(body.get("message") or code.message)
    return failure


def _code_of(status: int) -> Code:
    if status in (401, 403):
        return exits.NOT_ALLOWED
    if 400 <= status < 500:
        return exits.REFUSED._replace(exit=Exit.USAGE, fix="correct what is named")
    return exits.REFUSED


def _of_files(error: BaseException) -> Failure | None:
    if "clients.build" not in sys.modules:
        return None
    from clients.archive import UnsafeArchive
    from clients.build.fetch import OutOccupied
    from clients.build.sources import SourceUnusable

    if isinstance(error, OutOccupied):
        return Failure(exits.BAD_FILE, str(error), fix="choose another --out, or move what is there")
    if isinstance(error, SourceUnusable):
        return Failure(exits.BAD_FILE, str(error), fix="correct the graph, or --source")
    return Failure(exits.INCOMPATIBLE, str(error)) if isinstance(error, UnsafeArchive) else None


def _of_log(error: BaseException) -> Failure | None:
    if "events.log" not in sys.modules:
        return None
    from events import log

    codes: dict[type[log.LogError], Code] = {
        log.LogLocked: exits.DATA_IN_USE,
        log.LogFromTheFuture: exits.LOG_FROM_THE_FUTURE,
        log.CorruptLog: exits.CORRUPT_LOG,
        log.LogError: exits.DISK,
    }
    return next((Failure(code, str(error)) for kind, code in codes.items() if isinstance(error, kind)), None)


def _of_worker(error: BaseException) -> Failure | None:
    if "workers.disk" not in sys.modules:
        return None
    from workers.disk import Locked

    return Failure(exits.DATA_IN_USE, str(error)) if isinstance(error, Locked) else None


def _of_graph(error: BaseException) -> Failure | None:
    if "events.graphs" not in sys.modules:
        return None
    from events.graphs import BadGraph

    return Failure(exits.BAD_GRAPH, "\n".join(error.problems)) if isinstance(error, BadGraph) else None


def _of_system(error: BaseException) -> Failure | None:
    if not isinstance(error, OSError):
        return None
    if error.errno in _BIND_ERRNOS and error.filename is None:
        return Failure(exits.ADDRESS_IN_USE, str(error))
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError | PermissionError):
        return Failure(exits.BAD_FILE, str(error))
    return Failure(exits.DISK, str(error))


def _of_bug(error: BaseException) -> Failure:
    text = "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="terzetto-", suffix=".traceback", delete=False
    ) as file:
        file.write(text)
    cause = f"{type(error).__name__}: {error}"
    return Failure(exits.BUG, cause, fix=f"report it together with {Path(file.name)}")


def gravest(error: BaseException) -> BaseException:
    """Of the exceptions that ended several tasks at once, the one to speak of: a bug before all others."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    return max(leaves(error), key=_gravity)


def _gravity(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return 3
    return 1 if _foreseen(error) else 2


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions within a group, however deep; or the exception itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def _options(arguments: Sequence[str]) -> Sequence[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _silence_stdout() -> None:
    """Nobody reads it any more: keep the interpreter's last flush from complaining about that."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
