"""The variables a command may use, so that a graph is refused before it runs rather than on a worker.

The notation is Go's text/template, as distbuild's clients write it, cut down to the three actions that
a job can need: `{{.SourceDir}}`, `{{.OutputDir}}` and `{{index .Deps "<job id>"}}`. As in Go, white
space may stand inside the braces, `{{- ` and ` -}}` swallow the white space outside them, and a lone
`}}` is text. Anything else between `{{` and `}}` is refused; so no graph can make a worker evaluate
something that its author, and the coordinator's checks, did not foresee.
"""

import re
from collections.abc import Iterator
from typing import NoReturn

from attrs import frozen

from events.ids import JobId


class TemplateError(ValueError):
    """The text is no template that a job may use; the message names the action and what is allowed."""


@frozen
class SourceDir:
    """The directory in which the job finds its inputs, at their paths."""


@frozen
class OutputDir:
    """The directory whose contents become the job's artifact."""


@frozen
class DepDir:
    """The directory that holds the artifact of the dependency `job`."""

    job: JobId


# A template is text (never empty) between directories.
Part = str | SourceDir | OutputDir | DepDir

_SPACE = " \t\r\n"  # what Go's template lexer calls a space; str.strip() would take more
# `-` is a trim marker only where a space stands between it and the action.
_ACTION = re.compile(
    r"""\{\{ (?P<trim_before> -(?=[ \t\r\n]) )? [ \t\r\n]*
        (?: \.(?P<name>SourceDir|OutputDir)
          | index [ \t\r\n]+ \.Deps [ \t\r\n]+ (?P<quote>["`]) (?P<job>[0-9a-f]{40}) (?P=quote) )
        (?: [ \t\r\n]* | [ \t\r\n]+ (?P<trim_after> - ) ) \}\}""",
    re.VERBOSE,
)
_DIRECTORIES: dict[str, Part] = {"SourceDir": SourceDir(), "OutputDir": OutputDir()}


def parse(text: str) -> tuple[Part, ...]:
    """The parts of `text` in order; joined, with a path for each directory, they are what it renders to.

    Raises `TemplateError`.
    """
    if "{{" not in text:
        return (text,) if text else ()
    return tuple(part for part in _parts(text) if part != "")


def dependencies(parts: tuple[Part, ...]) -> tuple[JobId, ...]:
    """The jobs whose artifacts the parts refer to, in order, repeats included."""
    return tuple(part.job for part in parts if isinstance(part, DepDir))


def _parts(text: str) -> Iterator[Part]:
    position, trim = 0, False
    while (start := text.find("{{", position)) >= 0:
        action = _ACTION.match(text, start)
        if action is None:
            _refuse(text, start)
        yield _between(text[position:start], after=trim, before=action["trim_before"] is not None)
        yield DepDir(JobId(action["job"])) if action["job"] else _DIRECTORIES[action["name"]]
        position, trim = action.end(), action["trim_after"] is not None
    yield _between(text[position:], after=trim, before=False)


def _between(text: str, *, after: bool, before: bool) -> str:
    text = text.lstrip(_SPACE) if after else text
    return text.rstrip(_SPACE) if before else text


def _refuse(text: str, start: int) -> NoReturn:
    end = text.find("}}", start)
    if end < 0:
        raise TemplateError(f"{_shown(text[start:])} is never closed with }}}}")
    raise TemplateError(
        f"{_shown(text[start : end + 2])} is not known; a command may use {{{{.SourceDir}}}}, "
        '{{.OutputDir}} and {{index .Deps "<job id, 40 lower-case hex digits>"}}'
    )


def _shown(action: str) -> str:
    return action if len(action) <= 80 else action[:77] + "..."
