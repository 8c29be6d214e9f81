"""Graphs that people write by hand: TOML with named jobs, from which ids are derived.

clients/README.md has the format. A text becomes a graph in four steps: read the tables, unfold jobs
that say `each`, put jobs after those they depend on, fill in variables. Each step finds all it can
complain about before the next begins, and every complaint names file, line and key.
"""

import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NoReturn

from attrs import evolve, field, frozen

from clients.distbuild import BuildRequest, Cmd, Job
from clients.graphs import toml_places, toml_readers
from clients.graphs.builder import GraphBuilder, artifact, output, source
from clients.graphs.text import BadText, expand, hint, mentioned, repeat, repeat_in, select, under
from clients.graphs.toml_places import Place
from clients.graphs.toml_readers import Spec
from events.graphs import BadGraph, topological

SHELL = ("/bin/sh", "-ec")
DEFAULT_ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


class BadGraphFile(BadGraph):
    """The graph's file is not what the format says; each problem names file, line and key."""


@frozen(kw_only=True)
class Draft:
    """One job with all but its dependencies' ids: `words` are its variables, `spec` what its table says."""

    name: str
    place: Place
    spec: Spec
    words: dict[str, str]
    deps: tuple[str, ...] = ()


@frozen
class Complaints:
    """What is wrong with the file, gathered so that all of it can be told at once."""

    file: str
    lines: Mapping[Place, int] = {}
    told: list[str] = field(factory=list, init=False)

    def add(self, place: Place, text: str) -> None:
        line = toml_places.line_of(place, self.lines)
        where = self.file if line is None else f"{self.file}:{line}"
        self.told.append(f"{where}: {toml_places.dotted(place)}: {text}" if place else f"{where}: {text}")

    def add_text(self, place: Place, error: BadText) -> None:
        self.add((*place, error.key) if error.key else place, str(error))

    def stop(self) -> None:
        """Raise what was told, if anything was."""
        if self.told:
            raise BadGraphFile(self.told)


def parse(text: str, file: str, builder: GraphBuilder, find: Callable[[str], Sequence[str]]) -> BuildRequest:
    """The build that `text` describes; `file` is its name in complaints.

    `find` gives the source paths that match a pattern, sorted. Raises `BadGraphFile`.
    """
    document = _load(text, file)
    complaints = Complaints(file, toml_places.places(text, document))
    tables = toml_readers.read(document, complaints.add)
    complaints.stop()
    drafts = _unfold(tables, find, complaints)
    complaints.stop()
    drafts = _link(drafts, complaints)
    complaints.stop()
    _build(drafts, builder, find, complaints)
    complaints.stop()
    return BuildRequest(graph=builder.graph(), name=tables.name, keep_going=tables.keep_going)


def _load(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadGraphFile([f"{file}: not valid TOML: {error}"]) from error


def _unfold(
    tables: toml_readers.Tables, find: Callable[[str], Sequence[str]], complaints: Complaints
) -> dict[str, Draft]:
    drafts: dict[str, Draft] = {}
    own = _own_words(tables.vars, complaints)
    for title, spec in tables.jobs.items():
        place = ("jobs", title)
        try:
            for words in _each(spec, own, find):
                name = expand(title, _among(words))
                if name in drafts:
                    raise BadText(f"there are two jobs {name!r}; use ${{file}} or ${{stem}} in the name")
                drafts[name] = Draft(name=name, place=place, spec=spec, words=words)
        except BadText as error:
            complaints.add_text(place, error)
    return drafts


def _own_words(texts: Mapping[str, str], complaints: Complaints) -> dict[str, str]:
    words: dict[str, str] = {}
    for name, text in texts.items():
        try:
            words[name] = expand(text, _among({**_directories(), **words}))
        except BadText as error:
            complaints.add(("vars", name), str(error))
            words[name] = ""
    return words


def _directories() -> dict[str, str]:
    return {"src": source(), "out": output()}


def _each(spec: Spec, own: dict[str, str], find: Callable[[str], Sequence[str]]) -> Iterator[dict[str, str]]:
    if spec.each is None:
        yield own
        return
    with under("each"):
        paths = dict.fromkeys(path for pattern in spec.each for path in find(pattern))
    for path in paths:
        yield {**own, "file": path, "stem": PurePosixPath(path).stem}


def _among(words: Mapping[str, str]) -> Callable[[str], str]:
    """Look variables up in `words`; raises `BadText` for any other."""
    return lambda name: words[name] if name in words else _refuse(name, words)


def _refuse(name: str, words: Mapping[str, str]) -> NoReturn:
    near = hint(name, words)
    known = ", ".join(f"${{{word}}}" for word in words)
    raise BadText(
        f"the variable ${{{name}}} is not known here{near or f'; known are {known}' * bool(known)}"
        f" (for the shell's own, write $${{{name}}} or ${name})"
    )


def _link(drafts: dict[str, Draft], complaints: Complaints) -> dict[str, Draft]:
    """The drafts with their dependencies' names, dependencies first."""
    linked: list[Draft] = []
    for draft in drafts.values():
        try:
            linked.append(_with_deps(draft, drafts))
        except BadText as error:
            complaints.add_text(draft.place, error)
    try:
        order = topological([Job(id=d.name, name=d.name, deps=d.deps) for d in linked])
    except BadGraph as error:
        for problem in error.problems:
            complaints.add((), problem)
        return {}
    return {linked[index].name: linked[index] for index in order}


def _with_deps(draft: Draft, drafts: Mapping[str, Draft]) -> Draft:
    named = [("deps", expand(dep, _among(draft.words))) for dep in draft.spec.deps]
    named += [(key, name) for key, text in draft.spec.texts() for name in mentioned(text)]
    found: dict[str, None] = {}
    for key, dep in named:
        with under(key):
            found.update(dict.fromkeys(select(dep, drafts.keys(), draft.name)))
    return evolve(draft, deps=tuple(found))


def _build(
    drafts: Mapping[str, Draft],
    builder: GraphBuilder,
    find: Callable[[str], Sequence[str]],
    complaints: Complaints,
) -> None:
    jobs: dict[str, Job] = {}
    for draft in drafts.values():
        if not jobs.keys() >= set(draft.deps):
            continue  # what it depends on was complained about already
        try:
            jobs[draft.name] = _job(draft, jobs, drafts, builder, find)
        except BadGraph as error:
            for problem in error.problems:
                complaints.add(draft.place, problem)
        except BadText as error:
            complaints.add_text(draft.place, error)
        except OSError as error:
            complaints.add(draft.place, f"cannot read the input {error.filename}: {error.strerror}")


def _job(
    draft: Draft,
    jobs: Mapping[str, Job],
    names: Mapping[str, Draft],
    builder: GraphBuilder,
    find: Callable[[str], Sequence[str]],
) -> Job:
    spec = draft.spec
    if spec.type:
        return builder.typed(
            draft.name,
            spec.type,
            channel=spec.channel,
            args=spec.args,
            deps=[jobs[dep] for dep in draft.deps],
            after_failure=spec.after_failure,
            needs=spec.needs,
        )
    words = {**_directories(), **draft.words, **{f"dep:{dep}": artifact(jobs[dep]) for dep in draft.deps}}

    def fill(key: str, text: str) -> str:
        with under(key):
            return expand(text, _among(words))

    return builder.job(
        draft.name,
        cmds=_lines(draft, names.keys(), fill),
        inputs=_inputs(draft, find),
        deps=[jobs[dep] for dep in draft.deps],
        env={**DEFAULT_ENV, **{name: fill("env", value) for name, value in spec.env.items()}},
        working_directory=fill("cwd", spec.cwd),
        timeout_seconds=spec.timeout,
        container=spec.image,
        needs=spec.needs,
    )


def _inputs(draft: Draft, find: Callable[[str], Sequence[str]]) -> list[str]:
    with under("inputs"):
        patterns = [expand(pattern, _among(draft.words)) for pattern in draft.spec.inputs]
        found = [path for pattern in patterns for path in find(pattern)]
    return found if draft.spec.each is None else [draft.words["file"], *found]


def _lines(
    draft: Draft, names: Collection[str], fill: Callable[[str, str], str]
) -> Iterator[Sequence[str] | Cmd]:
    spec = draft.spec
    for path, text in spec.write:
        yield Cmd(cat_template=fill("write", text), cat_output=output(fill("write", path)))
    for key, lines in (("cmd", (spec.cmd,) if spec.cmd else ()), ("cmds", spec.cmds)):
        for line in lines:
            yield [fill(key, word) for text in line for word in repeat(text, names, draft.name)]
    for text in spec.run:
        yield [*SHELL, fill("run", repeat_in(text, names, draft.name))]
