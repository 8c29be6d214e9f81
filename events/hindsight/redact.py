"""A log that may be shown to strangers: what people called things is gone, and how things went is not.

The same text is the same pseudonym everywhere, ids and digests stay hex of their length, a path keeps its
depth. Numbers, times and reason codes stay. A field of text that nobody thought of is made unreadable, too.
Such a log replays to the same state under other names; but since digests no longer are those of the commands,
it cannot be decided again.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any, TypeVar

import attrs
from attrs import Factory, define

from events.catalog import Command, Container, Event, Record, StoredFile
from events.decide.workers import NOBODY
from events.hindsight.words import REASONS
from events.ids import as_uuid, is_uuid

T = TypeVar("T", bound=attrs.AttrsInstance)

# Texts that are ours, in the fields that may hold them.
VOCABULARY = frozenset({*REASONS, "upload-done", "cancel", "stdout", "stderr"})
CODED = frozenset({"reason", "signal", "outputs"})
_HEX = re.compile(r"[0-9a-f]{32,}\Z")
_NOT_HAD = "not to be had by "
# What a text is called, by the field that holds it.
NOUNS = {"name": "name", "key": "key", "error": "error", "reason": "reason", "version": "version"}


@define
class Redaction:
    """Gives pseudonyms, and remembers them; `given` by the kind and the text."""

    given: dict[tuple[str, str], str] = Factory(dict)
    _counts: dict[str, int] = Factory(dict)

    def records(self, records: Iterable[Record]) -> Iterator[Record]:
        """The same records under other names."""
        for record in records:
            yield record._replace(event=self.event(record.event))

    def event(self, event: Event) -> Event:
        return self._fields(event)

    def _fields(self, value: T) -> T:
        fields = {name: self._value(name, getattr(value, name)) for name in attrs.fields_dict(type(value))}
        return type(value)(**fields)

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(name, value)
        if isinstance(value, Command):
            return self._command(value)
        if isinstance(value, StoredFile):
            return self._fields(value)
        if isinstance(value, Container):
            return self._container(value)
        if isinstance(value, tuple):
            return tuple(self._value(name, item) for item in value)
        if isinstance(value, dict):
            return {self._value(f"{name}-key", k): self._value(name, item) for k, item in value.items()}
        return value

    def _text(self, name: str, text: str) -> str:
        if not text or text == NOBODY or (name in CODED and text in VOCABULARY):
            return text
        if _HEX.match(text):
            return self._hex(text)
        if is_uuid(text):
            return as_uuid(self._hex(text.replace("-", "")))
        if name in ("what", "answer"):
            return "{}"  # it stays a JSON object
        if name in ("inputs", "files", "outputs"):
            return self._path(text)
        if name in ("worker", "workers"):
            return self._worker(text)
        if name == "needs":
            label, _, value = text.partition("=")
            return f"{self._text('labels', label)}={self._text('labels', value)}"
        if name == "reason" and text.startswith(_NOT_HAD):
            return _NOT_HAD + self._worker(text.removeprefix(_NOT_HAD))
        return self._pseudonym(NOUNS.get(name, "text"), text)

    def _command(self, command: Command) -> Command:
        """As many words as before; what would have been written stays a template."""
        return Command(
            exec=tuple(self._pseudonym("word", word) if word else "" for word in command.exec),
            environ=tuple(self._variable(entry) for entry in command.environ),
            working_directory=self._text("directory", command.working_directory),
            cat_template=self._text("template", command.cat_template),
            cat_output=self._text("output", command.cat_output),
        )

    def _container(self, container: Container) -> Container:
        """What it may use is no secret, and its ports are numbers."""
        return attrs.evolve(
            container,
            image=self._text("image", container.image),
            health=f"/{self._pseudonym('path', container.health)}" if container.health else "",
            restart_policy=self._text("policy", container.restart_policy),
        )

    def _variable(self, entry: str) -> str:
        name, equals, value = entry.partition("=")
        return f"{self._pseudonym('VAR', name)}{equals}{self._text('value', value)}"

    def _path(self, path: str) -> str:
        *directories, file = path.split("/")
        parts = [self._pseudonym("dir", name) for name in directories]
        return "/".join([*parts, self._pseudonym("file", file)])

    def _worker(self, worker: str) -> str:
        scheme, separator, rest = worker.rpartition("://")
        known = scheme if scheme in ("http", "https") else ""
        return f"{known}{separator if known else ''}{self._pseudonym('worker', rest if known else worker)}"

    def _hex(self, text: str) -> str:
        """As many digits, drawn from how many there were before it.

        A digest begins as the source that is named after it does.
        """
        number = int(self._pseudonym("hex", text[:40]).removeprefix("hex"))
        return (sha256(f"{number}".encode()).hexdigest() * (1 + len(text) // 64))[: len(text)]

    def _pseudonym(self, kind: str, text: str) -> str:
        known = self.given.get((kind, text))
        if known is None:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            known = self.given[kind, text] = f"{kind}{self._counts[kind]}"
        return known
