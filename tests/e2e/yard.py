"""Jobs that talk with their test through files: what ran, and what may go on.

So a test holds a job where it wants it for as long as it wants, and nothing depends on how fast the
machine is.
"""

import shlex
from collections.abc import Iterable
from pathlib import Path

from clients.distbuild import Job
from clients.graphs import GraphBuilder

ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


class Yard:
    """One directory of such files. `mark` and `gate` are pieces of shell script."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory

    def mark(self, name: str) -> str:
        """Note that this was reached, and by which process."""
        return f"echo $$ >> {self._quoted(name)}"

    def gate(self, name: str) -> str:
        """Wait here until the test opens the gate."""
        return f"until [ -e {self._quoted(f'{name}.open')} ]; do sleep 0.02; done"

    def once(self, name: str, script: str) -> str:
        """Run `script` in the first attempt only."""
        return f"if mkdir {self._quoted(f'{name}.once')} 2>&-; then {script}; fi"

    def meet(self, name: str, number: int) -> str:
        """Wait here until so many processes have come."""
        file = self._quoted(f"{name}.meet")
        return f"echo $$ >> {file}; until [ $(wc -l < {file}) -ge {number} ]; do sleep 0.02; done"

    def _quoted(self, name: str) -> str:
        return shlex.quote(str(self._directory / name))

    def open(self, gate: str) -> None:
        (self._directory / f"{gate}.open").touch()

    def marks(self, name: str) -> list[int]:
        """The processes that came by, in order."""
        try:
            return [int(line) for line in (self._directory / name).read_text().splitlines()]
        except FileNotFoundError:
            return []


def shell(
    graph: GraphBuilder, name: str, *script: str, inputs: Iterable[str] = (), deps: Iterable[Job] = ()
) -> Job:
    """Add a job that runs these pieces of shell script; the first that fails ends it."""
    return graph.job(name, cmd=["/bin/sh", "-ec", "\n".join(script)], env=ENV, inputs=inputs, deps=deps)
