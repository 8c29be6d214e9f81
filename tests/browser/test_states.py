"""What the page says when there is nothing to show, not yet, no longer, or just now nobody to ask."""

import json
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect

from clients.cli.log.keeping import copied
from tests.browser.elsewhere import shown
from tests.browser.gallery import Gallery, good
from tests.browser.looks import faults
from tests.browser.stage import Stage
from tests.browser.visitors import HEIGHT, NARROW, OUTAGE, REFUSAL, SCREENSHOTS, WIDE, Visitors
from tests.e2e.yard import shell

pytestmark = pytest.mark.e2e

FORGOTTEN = Path(__file__).parents[1] / "golden" / "what_is_over_is_forgotten.jsonl"


def test_an_empty_farm_says_how_to_begin(stage: Stage, visitors: Visitors) -> None:
    """No build, no worker: the commands that change that. Below a prefix it is the same."""
    stage.do(stage.farm.coordinator, "--base-path", "/farm")
    page = visitors.open(f"{stage.url}/")
    expect(page.get_by_text(f"terzetto worker --coordinator {stage.url}")).to_be_visible()
    found = faults(page, "empty-builds")
    page.keyboard.type("gw")
    expect(page.get_by_text("No worker has reported yet")).to_be_visible()
    found += faults(page, "empty-workers")
    assert not found, "\n".join(found)

    build = stage.build("below a prefix", good(stage.farm.graph()))
    page.keyboard.type("gb")
    page.get_by_role("link", name="below a prefix").click()
    expect(page).to_have_url(f"{stage.url}/#/b/{build}")
    expect(page.locator(".pill")).to_have_text("live")
    expect(page.get_by_role("button", name="Play")).to_be_enabled()


def test_a_coordinator_that_is_killed_comes_back(stage: Stage, visitors: Visitors) -> None:
    """What is shown stays while it is away, and the pill says so; then the page goes on by itself."""
    visitors.expect(OUTAGE)
    coordinator = stage.do(stage.farm.coordinator)
    stage.do(stage.farm.worker, "w1")
    graph = stage.farm.graph()
    shell(graph, "held", stage.yard.mark("held"), stage.yard.gate("held"))
    build = stage.build("outlives it", graph)
    stage.do(stage.farm.passed, "held")
    page = visitors.open(f"{stage.url}/#/b/{build}?job=-")
    pill, row = page.locator(".pill"), page.locator(".rows .row")
    expect(pill).to_have_text("live")
    expect(row).to_contain_text("running")
    coordinator.kill9()
    expect(pill).to_contain_text("reconnecting")
    expect(row).to_contain_text("running")
    found = faults(page, "reconnecting")
    assert not found, "\n".join(found)
    late = visitors.open("about:blank")
    stage.do(coordinator.restart)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(pill).to_have_text("live")
    stage.yard.open("held")
    expect(row).to_contain_text("succeeded")
    expect(pill).to_have_text("ended")
    late.goto(page.url)
    expect(late.locator(".rows .row")).to_contain_text("succeeded")
    page.set_viewport_size({"width": WIDE, "height": HEIGHT})
    assert late.locator(".rows .row").inner_text() == row.inner_text()


def test_what_was_forgotten_is_said_to_be(stage: Stage, visitors: Visitors, tmp_path: Path) -> None:
    """A log from elsewhere, of whose build only the end is remembered."""
    visitors.expect(REFUSAL)
    records = [json.loads(line) for line in FORGOTTEN.read_text().splitlines()]
    build = next(record["build"] for record in records if record.get("type") == "BuildStarted")
    log = tmp_path / "forgotten.sqlite3"
    copied([str(FORGOTTEN)], log)
    page = visitors.open(f"{stage.enter(shown(log)).base_url}/#/b/{build}")
    expect(page.get_by_role("heading", name="No longer here")).to_be_visible()
    found = faults(page, "forgotten")
    assert not found, "\n".join(found)


def test_before_the_first_answer_there_is_a_skeleton(gallery: Gallery, visitors: Visitors) -> None:
    """The network is slow: something says that something will come."""
    page = visitors.open("about:blank")
    page.route("**/api/transitions", lambda _route: None)
    page.goto(gallery.url)
    expect(page.get_by_text("Asking the coordinator")).to_be_visible()
    found = faults(page, "loading")
    assert not found, "\n".join(found)
    page.unroute_all(behavior="ignoreErrors")


def test_before_the_build_began_there_is_a_way_back(gallery: Gallery, visitors: Visitors) -> None:
    page = visitors.open(gallery.of(gallery.bad, "at=1"))
    expect(page.get_by_text("The build had not begun")).to_be_visible()
    found = faults(page, "not-begun")
    assert not found, "\n".join(found)
    page.get_by_role("link", name="Back to now").click()
    expect(page.get_by_role("heading", name="bad", level=1)).to_be_visible()


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_colours_and_motion_are_the_readers(gallery: Gallery, visitors: Visitors, width: int) -> None:
    """Reduced motion: nothing moves by itself. Forced colours: what is chosen can still be told."""
    page = visitors.open(gallery.of(gallery.held), width=width)
    running = page.locator(".rows .state[data-state=running] i").first
    expect(running).to_be_visible()
    moving = "() => document.getAnimations().filter((each) => each.playState === 'running').length"
    page.wait_for_function(f"({moving})() > 0")
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function(f"({moving})() === 0")
    page.emulate_media(forced_colors="active")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary")).to_be_visible()
    page.screenshot(path=SCREENSHOTS / f"forced-colors-light-{width}.png", animations="disabled")


def test_without_scripts_it_says_what_to_do(gallery: Gallery, visitors: Visitors) -> None:
    """The commands that show the same."""
    page = visitors.open(gallery.url, scripts=False)
    expect(page.locator("noscript p")).to_contain_text("terzetto watch")
    expect(page.locator("noscript p")).to_be_visible()
    with urlopen(gallery.url) as answer:
        assert b"terzetto builds" in answer.read()
