"""One build of each kind, for all tests that only look."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from attrs import frozen

from clients.graphs import GraphBuilder, artifact, output
from tests.browser.hostile import BUILD, hostile
from tests.browser.stage import Stage, staged
from tests.e2e.yard import shell

VERDICT = "AssertionError: 3 != 4 in parser_test.c:41"
# More lines than a browser can scroll through.
LINES = 600_000
# What a terminal would obey, a page might, and a reader would not see; last what only looks like an error.
HOSTILE = (
    r"\033]0;owned\007a title",
    r"\033]8;;http://evil.example/\033\\a link\033]8;;\033\\ and more",
    r"\033[2J\033[H\033[10Aa move",
    r"<img src=x onerror=document.title=1><script>document.title=2</script>",
    r"\033[31mred \033[48;5;21mon blue\033[0m plain",
    r"10%%\r50%%\r100%% done",
    r"\342\200\256reversed",
    r"\377\000\010broken",
)


@frozen(eq=False)
class Gallery:
    """The builds' ids: one succeeded, two failed, of which one means harm, and one is held while it runs.

    Of `wordy`, the first job prints `LINES` lines, the second what is `HOSTILE`.
    """

    stage: Stage
    good: str
    bad: str
    hostile: str
    held: str
    wordy: str

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


def wordy(graph: GraphBuilder) -> GraphBuilder:
    """A job with much to say, and one that means harm."""
    shell(graph, "many", f"seq -f 'line %.0f of many' {LINES}")
    shell(graph, "hostile", *(f"printf '{line}\\n'" for line in HOSTILE))
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
        means_harm = stage.build(BUILD, hostile(stage.farm.graph()), keep_going=True)
        talked = stage.build("wordy", wordy(stage.farm.graph()))
        ends = [stage.ended(build) for build in (succeeded, failed, means_harm, talked)]
        assert ends == ["succeeded", "failed", "failed", "succeeded"]
        running = stage.build("held", held(stage))
        stage.do(stage.farm.passed, "held", 2)
        yield Gallery(stage, succeeded, failed, means_harm, running, talked)
