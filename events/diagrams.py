"""The transition tables as pictures for people, so that nobody has to draw them and keep them true.

`python -m events.diagrams` prints what stands in the README.
"""

import sys
from collections.abc import Collection, Mapping

from events.catalog import Event
from events.transitions import BUILD, BUILD_ENDED, JOB, JOB_ENDED, REQUEST, REQUEST_ENDED, S


def mermaid(table: Mapping[S, Mapping[type[Event], S]], ended: Collection[S]) -> str:
    """A state diagram in Mermaid; the first status of the table is the initial one."""
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(table))}"]
    for status, row in table.items():
        events: dict[S, list[str]] = {}
        for event, after in row.items():
            events.setdefault(after, []).append(event.__name__)
        lines += [f"    {status} --> {after}: {', '.join(names)}" for after, names in events.items()]
        if status in ended:
            lines.append(f"    {status} --> [*]")
    return "\n".join(lines)


def blocks() -> list[str]:
    """The fenced blocks of the README: jobs first, then builds, then requests."""
    drawn = (mermaid(JOB, JOB_ENDED), mermaid(BUILD, BUILD_ENDED), mermaid(REQUEST, REQUEST_ENDED))
    return [f"```mermaid\n{text}\n```" for text in drawn]


if __name__ == "__main__":
    sys.stdout.write("\n\n".join(blocks()) + "\n")
