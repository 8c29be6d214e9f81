"""A build from the command line, once its graph is read: shown, cancelled by Ctrl-C, told at the end."""

import os
import random
import secrets
import signal
import sys
from functools import partial
from pathlib import Path

import trio
from attrs import frozen

from clients import wire
from clients.build import BuildRun
from clients.build.observer import Patience
from clients.build.outcome import Outcome, Verdict
from clients.cli import errors, exits, links, printing
from clients.cli.api import Api
from clients.cli.exits import Exit, Failure
from clients.cli.progress import Display, make_display
from clients.cli.show import Show
from clients.cli.texts import count, plain, short
from clients.cli.view import BuildView
from clients.distbuild import BuildRequest
from events.transitions import JobStatus

# Long enough for a coordinator that was just started beside us; who mistyped its address learns it soon.
START_SECONDS = 10.0
# For so long a cancelled build is followed to its end, which comes at once if the coordinator is there.
CANCEL_SECONDS = 10.0


@frozen(kw_only=True)
class Wishes:
    """What the user asked for beside the graph itself."""

    coordinator: str
    # What another verb needs to be told to find the same coordinator; None if that is gone afterwards.
    aim: str | None = ""
    source: Path
    out: Path | None = None
    detach: bool = False
    as_json: bool = False
    progress: str = "auto"
    color: str = "auto"


async def build(api: Api, request: BuildRequest, wishes: Wishes) -> int:
    """Run the build to its end, or only start it; returns the exit code."""
    page = partial(links.page, wishes.coordinator)
    display = make_display(
        wishes.progress, wishes.color, os.environ, sys.stderr, page=page, hint="Ctrl-C cancels"
    )
    show = Show(api, display, name=request.name, graph=request.graph, aim=wishes.aim)
    run = BuildRun(
        api.client,
        request.graph,
        wishes.source,
        key=secrets.token_hex(16),
        chance=random.Random(),  # noqa: S311  delays, not secrets
        out=wishes.out,
        name=request.name,
        keep_going=request.keep_going,
        labels=request.labels,
        priority=request.priority,
        observer=show,
        patience=Patience(start_seconds=START_SECONDS),
    )
    interrupt = Interrupt(run, show)
    try:
        outcome = await _carry_out(run, show, interrupt, wishes)
    except Exception as error:
        if not interrupt.exit or errors.is_bug(error):
            raise
        cause = errors.explain(errors.gravest(error)).cause
        display.note(f"left without knowing how the build ended: {plain(cause)}")
        return interrupt.exit
    finally:
        display.close()
    if outcome is None:
        if interrupt.exit and run.build:
            display.note(f"left before build {short(run.build)} had ended{_later(run, wishes)}")
        return interrupt.exit
    if interrupt.exit and (outcome.verdict is Verdict.UNKNOWN or show.view is None):
        return interrupt.exit
    return _conclude(outcome, show, display, wishes, interrupt.exit)


def _later(run: BuildRun, wishes: Wishes) -> str:
    """How to look again at what was left."""
    if run.build is None or not run.is_native or wishes.aim is None:
        return ""
    return f": terzetto watch {short(run.build)}{wishes.aim}"


class Interrupt:
    """The first signal cancels the build and lets it end in sight; the second leaves at once."""

    def __init__(self, run: BuildRun, show: Show) -> None:
        self.exit: int = Exit.OK
        self._run = run
        self._show = show

    async def heed(self, scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
            task_status.started()
            async with trio.open_nursery() as nursery:
                async for number in received:
                    if self.exit:
                        scope.cancel()
                        return
                    self.exit = 128 + number
                    scope.deadline = trio.current_time() + CANCEL_SECONDS
                    nursery.start_soon(self._cancel, signal.Signals(number).name, scope)

    async def _cancel(self, name: str, scope: trio.CancelScope) -> None:
        view = self._show.view
        what = f"build {short(view.id)} ({len(view.running)} running)" if view else "the build"
        self._show.on_cancelling(f"Cancelling {what}. Press Ctrl-C again to detach now.")
        try:
            await self._run.cancel(f"its client got {name}")
        except wire.Unreachable as error:
            self._show.note(f"the build may still run, nobody took the cancellation: {plain(str(error))}")
            scope.cancel()


async def _carry_out(run: BuildRun, show: Show, interrupt: Interrupt, wishes: Wishes) -> Outcome | None:
    """The build's outcome; None if it was only started, or left to itself."""
    outcome: Outcome | None = None
    async with run, trio.open_nursery() as nursery:
        await nursery.start(interrupt.heed, nursery.cancel_scope)
        nursery.start_soon(show.run)
        await run.submit()
        if wishes.detach and not interrupt.exit:
            _say_detached(run, wishes)
        else:
            outcome = await run.finish()
            await show.finish()
        nursery.cancel_scope.cancel()
    return outcome


def _say_detached(run: BuildRun, wishes: Wishes) -> None:
    assert run.build is not None, "it was submitted"
    if not run.is_native:
        raise Failure(
            exits.REFUSED, "this coordinator ends a build whose client leaves", fix="do not --detach"
        )
    url = links.page(wishes.coordinator, run.build)
    if wishes.as_json:
        printing.as_json({"id": run.build, "url": url, "state": "running"})
    else:
        printing.line(f"{run.build} {url}")


def _conclude(outcome: Outcome, show: Show, display: Display, wishes: Wishes, interrupted: int) -> int:
    """Say how it ended; returns the exit code, a signal's before any other."""
    if outcome.verdict is Verdict.UNKNOWN or show.view is None:
        is_foreign = show.view is not None and show.view.is_foreign
        fix = "this coordinator cannot be asked later: build again" if is_foreign else ""
        raise Failure(exits.OUTCOME_UNKNOWN, outcome.reason, fix=fix)
    for failed in outcome.failed:
        if show.view.is_foreign:
            display.output(show.view.jobs[failed.id], failed.stdout, failed.stderr)
        show.keep_tail(failed.id, failed.stdout, failed.stderr)
    url = "" if show.view.is_foreign else links.page(wishes.coordinator, show.view.id)
    show.conclude(url=url, coordinator=wishes.coordinator)
    code = interrupted or exits.OF_VERDICT[outcome.verdict.value]
    if code == Exit.OK and outcome.unfetched:
        code = Exit.INFRASTRUCTURE
    made = [path for directory in sorted(outcome.fetched) for path in _files(directory)]
    if wishes.as_json:
        printing.as_json(_result(outcome, show.view, url, made) | {"exit_code": int(code)})
    else:
        printing.lines([str(path) for path in made] if wishes.out else [show.view.id])
    if outcome.unfetched:
        missing = [f"{count(len(outcome.unfetched), 'artifact')} could not be fetched:", *outcome.unfetched]
        display.conclude([plain(line) for line in missing])
    return code


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _result(outcome: Outcome, view: BuildView, url: str, made: list[Path]) -> dict[str, object]:
    counts: dict[str, int] = {status.value: view.counts[status] for status in JobStatus}
    return {
        "id": view.id,
        "name": view.name,
        "state": view.status.value,
        "verdict": outcome.verdict.value,
        "reason": outcome.reason,
        "url": url,
        "started_at": view.started_at,
        "ended_at": view.ended_at,
        "jobs": view.jobs_total,
        "counts": counts,
        "reused": view.reused,
        "attempts_lost": view.releases,
        "failed": [
            {"id": job.id, "name": job.name, "exit_code": job.exit_code, "error": job.error}
            for job in outcome.failed
        ],
        "made": [str(path) for path in made],
        "unfetched": list(outcome.unfetched),
    }
