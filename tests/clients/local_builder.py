"""Runs a graph's jobs one after the other in this process's own directories: no coordinator, no worker.

It is what tests of graphs compare against: the plainest reading of what a graph means. Each job sees
its declared inputs and nothing else of the source tree.
"""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen

from clients.distbuild import Cmd, Graph, Job
from events.graphs import topological
from events.template import DepDir, OutputDir, SourceDir, parse


@frozen
class LocalBuilder:
    """`source_root` has the sources; artifacts go to `artifacts/<job id>`, sources to `work/<job id>`."""

    source_root: Path
    directory: Path

    def build(self, graph: Graph) -> dict[str, Path]:
        """Run every job; the artifact's directory of each, by name. Raises CalledProcessError."""
        for index in topological(graph.jobs):
            self.run(graph.jobs[index])
        return {job.name: self.artifact(job.id) for job in graph.jobs}

    def run(self, job: Job) -> None:
        sources = self.directory / "work" / job.id
        for path in job.inputs:
            (sources / path).parent.mkdir(parents=True, exist_ok=True)
            (sources / path).write_bytes((self.source_root / path).read_bytes())
        sources.mkdir(parents=True, exist_ok=True)
        self.artifact(job.id).mkdir(parents=True)
        for cmd in job.cmds:
            carry_out(cmd, lambda text: self.render(text, job, sources))

    def render(self, text: str, job: Job, sources: Path) -> str:
        pieces = []
        for part in parse(text):
            match part:
                case SourceDir():
                    pieces.append(str(sources))
                case OutputDir():
                    pieces.append(str(self.artifact(job.id)))
                case DepDir():
                    assert part.job in job.deps
                    pieces.append(str(self.artifact(part.job)))
                case _:
                    pieces.append(part)
        return "".join(pieces)

    def artifact(self, job: str) -> Path:
        return self.directory / "artifacts" / job


def carry_out(cmd: Cmd, render: Callable[[str], str]) -> None:
    if not cmd.exec:
        Path(render(cmd.cat_output)).write_text(render(cmd.cat_template))
        return
    entries = (render(entry).partition("=") for entry in cmd.environ)
    env: Mapping[str, str] = {name: value for name, _, value in entries}
    directory = render(cmd.working_directory) or None
    subprocess.run([render(word) for word in cmd.exec], env=env, cwd=directory, check=True, timeout=120)
