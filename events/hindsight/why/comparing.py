"""How a job differs from the one of the same name in an earlier build, down to what changed first."""

from collections import deque
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import cached_property

from attrs import frozen

from events.catalog import Command, JobAdded, SourceStored
from events.hindsight.why.handed import Handed
from events.hindsight.why.then import Then, told
from events.hindsight.words import count, listed
from events.ids import BlobDigest, JobId, Position, SourceId

WORD_CHARS_MAX = 60


@frozen
class Version:
    """A graph as it was handed in; `ready` is the position at which the contents of its sources counted."""

    graph: Handed
    ready: Position


@frozen
class Cause:
    """A job that is itself other than it was, and in what."""

    job: JobId
    clauses: tuple[str, ...]


class Comparison:
    """Jobs of a graph, each set against that of the same name in an older graph."""

    def __init__(self, past: Then, old: Version, new: Version) -> None:
        self._past = past
        self._old = old
        self._new = new

    def causes(self, job: JobAdded) -> list[Cause]:
        """The job and those that it is made from, directly or through others, as far as they changed."""
        found: list[Cause] = []
        waiting, seen = deque([job]), {job.job}
        while waiting:
            after = waiting.popleft()
            known = self._old.graph.named(after.name)
            if known is None:
                continue  # whoever needs it says that it did not
            before = self._old.graph.job(known)
            if clauses := tuple(self._clauses(before, after)):
                found.append(Cause(after.job, clauses))
            for dep in after.deps:
                if dep not in seen and dep not in before.deps:
                    seen.add(dep)
                    waiting.append(self._new.graph.job(dep))
        return found

    def _clauses(self, before: JobAdded, after: JobAdded) -> Iterator[str]:
        old, new = self._old.graph, self._new.graph
        if before.commands != after.commands:
            yield from _commands(_readable(old, before), _readable(new, after))
        changed = [path for path in after.inputs if path in before.inputs and self._differs(path)]
        if changed:
            yield f"{listed(changed)} {'has' if len(changed) == 1 else 'have'} other contents"
        yield from _came_and_went("reads", before.inputs, after.inputs)
        yield from _came_and_went("needs", _names(old, before), _names(new, after))

    def _differs(self, path: str) -> bool:
        was, is_ = self._old.graph.sources[path], self._new.graph.sources[path]
        return was != is_ or self._blob(was, self._old.ready) != self._blob(is_, self._new.ready)

    def _blob(self, source: SourceId, upto: Position) -> BlobDigest | None:
        stored = [blob for position, blob in self._stored.get(source, ()) if position <= upto]
        return stored[-1] if stored else None

    @cached_property
    def _stored(self) -> dict[SourceId, list[tuple[Position, BlobDigest]]]:
        """What arrived under each source's id, which may be anything."""
        stored: dict[SourceId, list[tuple[Position, BlobDigest]]] = {}
        for record in self._past.find(types=("SourceStored",)):
            event = told(record, SourceStored)
            stored.setdefault(event.source, []).append((record.position, event.blob))
        return stored


def _names(graph: Handed, job: JobAdded) -> list[str]:
    return [graph.name(dep) for dep in job.deps]


def _readable(graph: Handed, job: JobAdded) -> list[Command]:
    """The commands with names where ids of dependencies stand, which change with every one of them."""
    return [
        Command(
            exec=tuple(_named(graph, job, word) for word in command.exec),
            environ=tuple(_named(graph, job, word) for word in command.environ),
            working_directory=_named(graph, job, command.working_directory),
            cat_template=_named(graph, job, command.cat_template),
            cat_output=_named(graph, job, command.cat_output),
        )
        for command in job.commands
    ]


def _named(graph: Handed, job: JobAdded, word: str) -> str:
    for dep in job.deps:
        word = word.replace(dep, graph.name(dep))
    return word


def _commands(before: Sequence[Command], after: Sequence[Command]) -> Iterator[str]:
    if len(before) != len(after):
        yield f"it runs {count(len(after), 'command')} where it ran {len(before)}"
        return
    for was, is_ in zip(before, after, strict=True):
        yield from _words("its command", was.exec, is_.exec)
        yield from _words("its environment", sorted(was.environ), sorted(is_.environ))
        if was.working_directory != is_.working_directory:
            yield f"it works in {is_.working_directory or 'its own directory'}"
        if was.cat_output != is_.cat_output:
            yield f"it writes {is_.cat_output or 'no file'} where it wrote {was.cat_output or 'none'}"
        elif was.cat_template != is_.cat_template:
            yield f"it writes another text to {is_.cat_output}"


def _words(what: str, before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    changes = []
    for tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        gone, new = _joined(before[i:j]), _joined(after[k:m])
        if tag == "replace":
            changes.append(f"has {new} where it had {gone}")
        elif tag == "insert":
            changes.append(f"has {new}, which it had not")
        elif tag == "delete":
            changes.append(f"no longer has {gone}")
    if changes:
        yield f"{what} {listed(changes)}"


def _joined(words: Sequence[str]) -> str:
    text = " ".join(words)
    return f"{text[:WORD_CHARS_MAX]}…" if len(text) > WORD_CHARS_MAX else text


def _came_and_went(verb: str, before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    if came := [name for name in dict.fromkeys(after) if name not in set(before)]:
        yield f"it {verb} {listed(came)}, which it did not"
    if went := [name for name in dict.fromkeys(before) if name not in set(after)]:
        yield f"it no longer {verb} {listed(went)}"
