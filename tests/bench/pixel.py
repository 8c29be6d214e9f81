"""How long it takes from what a worker says until a browser shows it, and how smoothly it shows a lot."""

import time
from typing import Any

from playwright.sync_api import Page

from tests.bench import builds
from tests.bench.graphs import graph
from tests.bench.measure import coordinator, percentile, report, scratch
from tests.bench.plain_http import Connection
from tests.browser.visitors import Visitors, chromium

BEATS = 100
JOBS = 10_000
SLOTS = 50
# When the head first told so many jobs to be done, in seconds since 1970, once that was drawn.
WATCH_HEAD = """() => {
    window.seen = {};
    const head = document.querySelector(".head");
    new MutationObserver(() => requestAnimationFrame(() => {
        seen[parseInt(head.querySelector(".sum").textContent)] ??= Date.now() / 1000;
    })).observe(head, { subtree: true, childList: true, characterData: true });
}"""
WATCH_FRAMES = """() => {
    window.frames_ = [];
    let last = performance.now();
    requestAnimationFrame(function frame(now) {
        frames_.push(now - last);
        last = now;
        requestAnimationFrame(frame);
    });
}"""


class Worker:
    """Takes jobs and says at once that they are done."""

    def __init__(self, url: str, slots: int) -> None:
        self._connection = Connection(url)
        self._report: dict[str, Any] = {"WorkerID": "http://bench.invalid", "Session": "bench"}
        self._report |= {"Slots": slots, "FreeSlots": slots, "FinishedJob": []}

    def beat(self) -> list[str]:
        """The jobs that are said to be done by the next beat."""
        answer = self._connection.post("/heartbeat?wait=0", self._report)
        assert isinstance(answer, dict)
        jobs: dict[str, dict[str, Any]] = answer["JobsToRun"]
        self._report["FinishedJob"] = [
            {"ID": id_, "Lease": spec["Lease"], "ExitCode": 0, "Error": None} for id_, spec in jobs.items()
        ]
        return list(jobs)


def main() -> None:
    with chromium() as browser:
        visitors = Visitors(browser)
        delay(visitors)
        smoothness(visitors)
        visitors.leave()


def delay(visitors: Visitors) -> None:
    """From the POST that says a job is done, and from the record's own time, to the number that counts it."""
    with scratch() as directory, coordinator(directory) as server:
        build = builds.start(server.url, graph("flat", BEATS + 1))
        page = _opened(visitors, f"{server.url}/#/b/{build}?job=-")
        page.evaluate(WATCH_HEAD)
        worker, posted = Worker(server.url, 1), list[tuple[str, float]]()
        [running] = worker.beat()
        for done in range(1, BEATS + 1):
            posted.append((running, time.time()))
            [running] = worker.beat()
            page.wait_for_function("(done) => seen[done] !== undefined", arg=done)
        seen: dict[str, float] = page.evaluate("seen")
        jobs = page.evaluate("(path) => fetch(path).then((answer) => answer.json())", f"api/builds/{build}")
        page.context.close()
    ended = {job["id"]: job["ended_at"] for job in jobs["jobs"]}
    shown = [(job, at, seen[str(done)]) for done, (job, at) in enumerate(posted, 1)]
    for name, delays in (
        ("POST to pixel", [1000 * (then - at) for _, at, then in shown]),
        ("record to pixel", [1000 * (then - ended[job]) for job, _, then in shown]),
    ):
        report(name, percentile(delays, 0.5), "ms p50", p99_ms=round(percentile(delays, 0.99), 1))


def smoothness(visitors: Visitors) -> None:
    """Frames while the records of a large build arrive, and what all of it weighs."""
    with scratch() as directory, coordinator(directory) as server:
        build = builds.start(server.url, graph("flat", JOBS))
        page = _opened(visitors, f"{server.url}/#/b/{build}?job=-")
        page.evaluate(WATCH_FRAMES)
        worker = Worker(server.url, SLOTS)
        while worker.beat():
            page.evaluate("0")  # the worker is no faster than the page takes notice
        page.wait_for_selector(".pill[data-state=ended]")
        frames = page.evaluate("frames_")
        rows = page.locator(".rows .row").count()
        heap = page.evaluate("performance.memory.usedJSHeapSize")
        page.context.close()
    report(
        f"frames, {JOBS} jobs live",
        percentile(frames, 0.95),
        "ms p95",
        p50_ms=round(percentile(frames, 0.5), 1),
        max_ms=round(max(frames), 1),
        rows=rows,
        heap_mb=round(heap / 1e6, 1),
    )


def _opened(visitors: Visitors, url: str) -> Page:
    page = visitors.open(url)
    page.wait_for_selector(".pill[data-state=live]")
    page.wait_for_selector("[role=slider][aria-disabled=false]")
    page.wait_for_selector(".rows .row")
    return page


if __name__ == "__main__":
    main()
