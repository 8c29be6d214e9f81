"""One build of each kind, for all tests that only look."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from attrs import frozen

from clients.graphs import GraphBuilder, artifact, output
from tests.browser.stage import Stage, staged
from tests.e2e.yard import shell

VERDICT = "AssertionError: 3 != 4 in parser_test.c:41"


@frozen(eq=False)
class Gallery:
    """The coordinator's address and the builds' ids: one succeeded, one failed, one is held while it runs."""

    stage: Stage
    good: str
    bad: str
    held: str

    @property
    def url(self) -> str:
        return self.stage.url

    def of(self, build: str, query: str = "") -> str:
        """The address of a build's page."""
        return f"{self.url}/#/b/{build}{query and f'?{query}'}"

    def position(self, build: str) -> int:
        """Of the log when the build was looked at."""
        return int(self.stage.do(self.stage.farm.api, f"/api/builds/{build}")["position"])


def good(graph: GraphBuilder) -> GraphBuilder:
    """Two jobs and one that needs both."""
    parts = [
        shell(graph, f"compile/{name}", f"echo compiling {name}; echo made > {output('o')}") for name in "ab"
    ]
    shell(graph, "link", f"cat {' '.join(artifact(part, 'o') for part in parts)}", deps=parts)
    return graph


def bad(graph: GraphBuilder) -> GraphBuilder:
    """A test that fails after it has said a lot, what needs it, and what does not."""
    parser = shell(graph, "compile/parser", "echo compiling")
    # The command does not contain the verdict in one piece, so that who finds it has found the output.
    lines = 'for n in $(seq 60); do echo "test $n ok"; done'
    test = shell(
        graph, "test/parser", lines, f"echo '{VERDICT[:5]}''{VERDICT[5:]}' >&2", "exit 3", deps=[parser]
    )
    shell(graph, "report", "echo never", deps=[test])
    return graph


def held(stage: Stage) -> GraphBuilder:
    """More jobs than slots, of which the first wait for the gate "held"."""
    graph = stage.farm.graph()
    first = [
        shell(graph, f"long/{n}", f"echo running {n}", stage.yard.mark("held"), stage.yard.gate("held"))
        for n in "ab"
    ]
    shell(graph, "waits for a slot", "echo last")
    shell(graph, "waits for the others", "echo done", deps=first)
    return graph


@contextmanager
def hung(directory: Path) -> Iterator[Gallery]:
    """The gallery, with real processes behind it."""
    with staged(directory) as stage:
        stage.do(stage.farm.coordinator)
        stage.do(partial(stage.farm.worker, "w1", slots=2))
        succeeded = stage.build("good", good(stage.farm.graph()))
        failed = stage.build("bad", bad(stage.farm.graph()))
        assert (stage.ended(succeeded), stage.ended(failed)) == ("succeeded", "failed")
        running = stage.build("held", held(stage))
        stage.do(stage.farm.passed, "held", 2)
        yield Gallery(stage, succeeded, failed, running)
