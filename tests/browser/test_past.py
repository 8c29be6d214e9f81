"""Any moment of any log is shown as the coordinator has it, to everybody who is sent its address."""

import json
import random
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from clients.cli.log.keeping import copied
from clients.wire import Client
from events.sqlite import SqliteLog
from tests.browser.elsewhere import shown
from tests.browser.gallery import Gallery
from tests.browser.stage import Stage
from tests.browser.visitors import SECONDS, Visitors
from tests.simulation.options import Options
from tests.simulation.runner import silence
from tests.simulation.sometimes import Hits
from tests.simulation.world import World, run

pytestmark = pytest.mark.e2e

TESTS = Path(__file__).parents[1]
# All but the one in which no build is left to be looked at.
GOLDEN = sorted(TESTS.joinpath("golden").glob("*.jsonl"))
GOLDEN.remove(TESTS.joinpath("golden", "what_is_over_is_forgotten.jsonl"))
SEEDS = tomllib.loads(TESTS.joinpath("regressions", "seeds.toml").read_text())["seed"]
# In each log; `--soak` looks at ten times as many.
POSITIONS = 6
# What the page says of a position, once it says so.
VERDICT = """(at) => {
    const verdict = document.querySelector(".past-banner :is(.same, .different)");
    const isThere = document.querySelector(".pill").textContent.replaceAll("\u202f", "") === `past · ${at}`;
    return isThere && verdict !== null && verdict.className;
}"""


def logs(directory: Path) -> Iterator[Path]:
    """Ten: recorded by hand, and left behind by simulated farms that once met trouble."""
    for golden in GOLDEN:
        path = directory / f"{golden.stem}.sqlite3"
        copied([str(golden)], path)
        yield path
    silence()
    for number, seed in enumerate(SEEDS[: 10 - len(GOLDEN)]):
        worlds: list[World] = []
        run(Options.from_json(seed["options"]), Hits(), begun=worlds.append)
        path = directory / f"seed-{number}.sqlite3"
        with closing(SqliteLog(path)) as log:
            log.append([entry.record for entry in worlds[0].checks.disk.entries])
        yield path


def moments(stage: Stage, client: Client, chance: random.Random, number: int) -> list[tuple[str, int]]:
    """So many positions at random, each within the life of one of the log's builds, or after it."""

    async def get(target: str) -> Any:
        return json.loads((await client.call("GET", target, timeout_seconds=SECONDS)).raise_for_status().body)

    builds = stage.do(get, "/api/builds")["builds"]
    head = stage.do(get, "/api/workers")["position"]
    chosen = (chance.choice(builds) for _ in range(number))
    # Build by build: what is shown next is then mostly another moment of the same.
    return sorted((build["id"], chance.randint(build["position"], head)) for build in chosen)


def test_any_moment_of_any_log_is_what_its_coordinator_says(
    stage: Stage, visitors: Visitors, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A page for each log, all at once; the page itself holds what it shows against the digest."""
    number = POSITIONS * (10 if request.config.getoption("--soak") else 1)
    chance = random.Random(7)
    pages: list[tuple[str, Page, list[tuple[str, int]]]] = []
    for log in logs(tmp_path):
        client = stage.enter(shown(log))
        page = visitors.open(client.base_url)
        pages.append((log.stem, page, moments(stage, client, chance, number)))
    assert len(pages) >= 10
    wrong = []
    for round_ in range(number):
        for _, page, asked in pages:
            build, at = asked[round_]
            page.evaluate("(hash) => { location.hash = hash; }", f"#/b/{build}?at={at}&job=-")
        for name, page, asked in pages:
            build, at = asked[round_]
            verdict = page.wait_for_function(VERDICT, arg=at).json_value()
            wrong += [f"{name} at {at}, build {build}"] * (verdict != "same")
    assert not wrong, "\n".join(wrong)


def text(page: Page) -> list[str]:
    """All that the page says of the build."""
    return [page.locator(part).inner_text() for part in (".head", ".scrubber", ".past-banner", ".table")]


@pytest.mark.parametrize("back", [1, 8])
def test_an_address_shows_everybody_the_same(gallery: Gallery, visitors: Visitors, back: int) -> None:
    """Somebody scrubs back and sends the address to a colleague, who sees the same words."""
    page = visitors.open(gallery.of(gallery.bad))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    expect(page.get_by_role("button", name="Play")).to_be_enabled()
    for _ in range(back):
        page.keyboard.press("ArrowLeft")
    expect(page.locator(".same")).to_be_visible()
    page.keyboard.press("c")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    address = page.evaluate("navigator.clipboard.readText()")
    expect(page.get_by_role("button", name="Copy link")).to_be_visible()
    other = visitors.open(address)
    expect(other.locator(".same")).to_be_visible()
    assert text(other) == text(page)
