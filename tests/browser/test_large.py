"""Ten thousand jobs are forty rows, and what the browser fetches of them stays small."""

import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.bench import builds
from tests.bench.graphs import graph
from tests.bench.plain_http import Connection
from tests.browser.stage import Stage
from tests.browser.visitors import Visitors

pytestmark = pytest.mark.e2e

JOBS = 10_000
RUN = 500
# Rows in sight, those ready above and below, and the head.
ROWS_MAX = 60
# The graph once with its history, and the records of what ran.
BYTES_MAX = 6_000_000


class Traffic:
    """Bytes that a page has received."""

    def __init__(self, page: Page) -> None:
        self.bytes = 0
        page.on("websocket", self._connected)
        page.on("requestfinished", lambda request: self._add(request.sizes()["responseBodySize"]))

    def _connected(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: self._add(len(frame)))

    def _add(self, number: int) -> None:
        self.bytes += number


def run(url: str, number: int) -> None:
    """A worker that says at once that its jobs are done, so many of them."""
    connection = Connection(url)
    report: dict[str, object] = {"WorkerID": "http://w.invalid", "Session": "s", "Slots": 50, "FreeSlots": 50}
    for _ in range(number // 50):
        answer = connection.post("/heartbeat?wait=1", report)
        assert isinstance(answer, dict)
        report["FinishedJob"] = [
            {"ID": id_, "Lease": spec["Lease"], "ExitCode": 0, "Error": None}
            for id_, spec in answer["JobsToRun"].items()
        ]
    connection.post("/heartbeat?wait=0", {**report, "FreeSlots": 0})
    connection.close()


def test_ten_thousand_jobs(stage: Stage, visitors: Visitors) -> None:
    stage.do(stage.farm.coordinator)
    build = builds.start(stage.url, graph("flat", JOBS))
    page = visitors.open("about:blank")
    traffic = Traffic(page)
    page.goto(f"{stage.url}/#/b/{build}")
    expect(page.locator(".head")).to_contain_text("0 of 10\u202f000 jobs done")
    expect(page.get_by_role("slider")).to_be_enabled()
    run(stage.url, RUN)
    expect(page.locator(".head")).to_contain_text(f"{RUN} of 10\u202f000 jobs done")
    rows = page.locator(".rows .row")
    assert rows.count() < ROWS_MAX
    page.keyboard.press("End")
    expect(page.get_by_role("link", name=f"job-{JOBS - 1}", exact=True)).to_be_in_viewport()
    assert rows.count() < ROWS_MAX
    print(traffic.bytes)
    assert traffic.bytes < BYTES_MAX
