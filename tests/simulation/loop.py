"""Trio made deterministic, and able to stop the tasks of one host while the others go on.

Both lean on trio's insides (the version is pinned, `test_determinism.py` says when they move): the flag that
sorts each batch of runnable tasks before it is shuffled, and the queue of those tasks, which here withholds
the tasks of a frozen host. So a frozen host is like a process after SIGSTOP: its deadlines pass, its sockets
fill, and it notices all of it at once when it goes on.
"""

import gc
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

import trio
import trio._core._run as trio_run
from trio.testing import MockClock

T = TypeVar("T")

# The host that a task belongs to; tasks inherit it from those that start them.
HOST: ContextVar[str] = ContextVar("HOST", default="")


# So many steps take some time, or it will never pass.
STEPS_MAX = 50_000


class Stuck(AssertionError):
    """Tasks run for ever without waiting for anything."""


class RunQueue(deque[Any]):
    """Trio's queue of runnable tasks, without those of frozen hosts."""

    def __init__(self, tasks: Sequence[Any]) -> None:
        super().__init__(tasks)
        self._frozen: dict[str, list[Any]] = {}
        self._steps = 0
        self._seen_at = -1.0

    def append(self, task: Any) -> None:
        self._steps += 1
        if not self._steps % STEPS_MAX:
            self._look_at_the_clock()
        if self._frozen:
            held = self._frozen.get(task.context.get(HOST, ""))
            if held is not None:
                held.append(task)
                return
        super().append(task)

    def _look_at_the_clock(self) -> None:
        if trio.current_time() == self._seen_at:
            names = Counter(f"{task.context.get(HOST, '')}: {task.name}" for task in self)
            raise Stuck(f"time stands still at {self._seen_at:.3f} s, while these run: {dict(names)}")
        self._seen_at = trio.current_time()

    def freeze(self, host: str) -> None:
        self._frozen.setdefault(host, [])

    def thaw(self, host: str) -> None:
        self.extend(self._frozen.pop(host, ()))

    def thaw_all(self) -> None:
        for host in list(self._frozen):
            self.thaw(host)

    def is_frozen(self, host: str) -> bool:
        return host in self._frozen


def _clock() -> MockClock:
    """Only jumps; so it need not ask how much real time has passed, as trio's does at every look."""
    clock = MockClock(autojump_threshold=0)
    vars(clock)["current_time"] = lambda: clock._virtual_base
    return clock


def run(
    main: Callable[[RunQueue], Awaitable[T]], seed: int, instruments: Sequence[trio.abc.Instrument] = ()
) -> T:
    """Run `main` in virtual time; the same seed gives the same schedule."""

    async def begin() -> T:
        runner = trio_run.GLOBAL_RUN_CONTEXT.runner
        queue = RunQueue(runner.runq)
        runner.runq = queue
        if not instruments:  # whose hooks are looked for five times a step
            runner.instruments = {}  # type: ignore[assignment]  # which is all that it is asked for
        return await main(queue)

    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # meant for Hypothesis
    trio_run._r.seed(seed)
    was_enabled = gc.isenabled()
    gc.disable()  # a finalizer that runs at a time of its own would be chance
    try:
        return trio.run(begin, clock=_clock(), instruments=instruments)
    finally:
        if was_enabled:
            gc.enable()
