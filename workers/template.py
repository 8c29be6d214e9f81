"""Commands as they run on this machine: Go's templates filled in with this worker's paths."""

from collections.abc import Iterator, Mapping, Sequence

import attrs
from attrs import frozen

from clients.distbuild import Cmd
from events.ids import JobId
from events.template import DepDir, OutputDir, Part, SourceDir, TemplateError, parse


class RenderError(ValueError):
    """A command's template cannot be filled in; the text is the job's error."""


@frozen(kw_only=True)
class Directories:
    """Absolute paths: where a job's sources are, where its artifact grows, where its dependencies' are."""

    source: str
    output: str
    deps: Mapping[JobId, str]


@frozen(kw_only=True)
class Mentions:
    """Which directories a job's commands refer to, and so need."""

    source: bool
    output: bool
    deps: frozenset[JobId]


def mentions(cmds: Sequence[Cmd]) -> Mentions:
    """What must be there before `cmds` can be rendered. Raises RenderError."""
    parts = {part for cmd in cmds for text in _texts(cmd) for part in _parse(text)}
    return Mentions(
        source=SourceDir() in parts,
        output=OutputDir() in parts,
        deps=frozenset(part.job for part in parts if isinstance(part, DepDir)),
    )


def render_cmd(cmd: Cmd, directories: Directories) -> Cmd:
    """`cmd` with every template filled in. Raises RenderError."""
    return attrs.evolve(
        cmd,
        exec=tuple(render(text, directories) for text in cmd.exec),
        environ=tuple(render(text, directories) for text in cmd.environ),
        working_directory=render(cmd.working_directory, directories),
        cat_template=render(cmd.cat_template, directories),
        cat_output=render(cmd.cat_output, directories),
    )


def render(text: str, directories: Directories) -> str:
    """Fill in one template. Raises RenderError."""
    return "".join([_rendered(part, directories) for part in _parse(text)])


def _texts(cmd: Cmd) -> Iterator[str]:
    yield from cmd.exec
    yield from cmd.environ
    yield from (cmd.working_directory, cmd.cat_template, cmd.cat_output)


def _parse(text: str) -> tuple[Part, ...]:
    try:
        return parse(text)
    except TemplateError as error:
        raise RenderError(f"error rendering cmd: {error}") from error


def _rendered(part: Part, directories: Directories) -> str:
    match part:
        case str():
            return part
        case SourceDir():
            return directories.source
        case OutputDir():
            return directories.output
        case DepDir(job):
            if job not in directories.deps:
                raise RenderError(f"error rendering cmd: {job} is not among the job's Deps")
            return directories.deps[job]
