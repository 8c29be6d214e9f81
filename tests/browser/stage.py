"""A farm for tests that drive a browser: it has a thread of its own, since the browser has the test's."""

import json
import queue
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import trio
from attrs import frozen

from clients import codec
from clients.distbuild import BuildRequest, Graph
from clients.graphs import GraphBuilder
from tests.bench import builds
from tests.e2e.farm import Farm, open_farm
from tests.e2e.yard import Yard

T = TypeVar("T")


@frozen(eq=False)
class Stage:
    """What a farm can do, for a thread without trio."""

    farm: Farm
    _token: trio.lowlevel.TrioToken
    _nursery: trio.Nursery

    def do(self, act: Callable[..., Awaitable[T]], *arguments: object) -> T:
        """Call one of the farm's coroutines."""
        done: T = trio.from_thread.run(act, *arguments, trio_token=self._token)
        return done

    def enter(self, manager: AbstractAsyncContextManager[T]) -> T:
        """Open something that stays open as long as the farm does."""

        async def hold(task_status: trio.TaskStatus[T]) -> None:
            async with manager as value:
                task_status.started(value)
                await trio.sleep_forever()

        opened: T = self.do(self._nursery.start, hold)
        return opened

    @property
    def yard(self) -> Yard:
        return self.farm.yard

    @property
    def url(self) -> str:
        return self.farm.url

    def build(self, name: str, graph: GraphBuilder | Graph, *, keep_going: bool = False) -> str:
        """Start a build that nobody but the browser watches; returns its id."""
        made = graph.graph() if isinstance(graph, GraphBuilder) else graph
        request = BuildRequest(graph=made, name=name, keep_going=keep_going)
        return builds.start(self.url, json.loads(codec.write(request)))

    def ended(self, build: str) -> str:
        """Wait for the build's end; returns the state it ended in."""
        summary = self.do(self.farm.state, build, "succeeded", "failed", "cancelled")
        return str(summary["state"])


@contextmanager
def staged(directory: Path) -> Iterator[Stage]:
    """A farm without any process yet; its end is checked like that of all farms."""
    began: queue.SimpleQueue[tuple[Stage, trio.Event]] = queue.SimpleQueue()

    async def play() -> None:
        over = trio.Event()
        async with open_farm(directory) as farm, trio.open_nursery() as nursery:
            began.put((Stage(farm, trio.lowlevel.current_trio_token(), nursery), over))
            await over.wait()
            nursery.cancel_scope.cancel()

    with ThreadPoolExecutor(1) as thread:
        playing = thread.submit(trio.run, play)
        stage, over = began.get()
        try:
            yield stage
        finally:
            trio.from_thread.run_sync(over.set, trio_token=stage._token)
            playing.result()
