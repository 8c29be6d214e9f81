"""Whose turn it is: builds with queued jobs of a kind, in the order in which workers are given those.

Builds of a higher priority come first; of equal ones, who was served last stands last, which is all the
fairness there is. An index that `fold` keeps and `schedule` reads.
"""

from collections.abc import Iterator

from attrs import Factory, define

from events.ids import BuildId, Position


@define
class Rotation:
    """A line of builds for each priority that there is, the highest first.

    Each build stands there with the position at which it took its place.
    """

    lines: dict[int, dict[BuildId, Position]] = Factory(dict)

    def __iter__(self) -> Iterator[BuildId]:
        for line in self.lines.values():
            yield from line

    def __len__(self) -> int:
        return sum(map(len, self.lines.values()))

    def places(self) -> Iterator[tuple[int, Position, BuildId]]:
        """The builds in order, by what puts them there."""
        for priority, line in self.lines.items():
            for build, place in line.items():
                yield -priority, place, build

    def join(self, build: BuildId, priority: int, place: Position) -> None:
        """Stand at the end of the line."""
        line = self.lines.get(priority)
        if line is None:
            line = self._open(priority)
        line[build] = place

    def serve(self, build: BuildId, priority: int, place: Position) -> None:
        """It had its turn."""
        line = self.lines[priority]
        del line[build]
        line[build] = place

    def leave(self, build: BuildId, priority: int) -> None:
        line = self.lines[priority]
        del line[build]
        if not line:
            del self.lines[priority]

    def _open(self, priority: int) -> dict[BuildId, Position]:
        """A new line, in its place among the others."""
        line = self.lines[priority] = {}
        if len(self.lines) > 1:
            self.lines = dict(sorted(self.lines.items(), reverse=True))
        return line
