"""The live page: complete, self-contained and strict, as a browser gets it from a running coordinator."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
import trio

from clients.wire import Client, Reply
from coordinator.app import run
from coordinator.config import CoordinatorConfig
from coordinator.http.site import PAGE_FILES
from events.queue import Why
from events.transitions import BUILD, JOB

WEB = files("clients").joinpath("web")
SECONDS = 20.0
XML_NAMES = "http://www.w3.org/2000/svg"


class Page(HTMLParser):
    """What a document refers to, and what it does that a strict policy forbids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.forbidden: list[str] = []
        self.ids: list[str] = []
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href") and value and not value.startswith("#"):
                self.references.append(value)
            if name == "style" or name.startswith("on"):
                self.forbidden.append(f"<{tag} {name}>")
        if tag in ("base", "style", "iframe", "form"):
            self.forbidden.append(f"<{tag}>")

    def handle_data(self, data: str) -> None:
        if self._tag == "script" and data.strip():
            self.forbidden.append("an inline script")

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""


@pytest.fixture(params=["", "/farm/one"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a coordinator that is mounted at the root, and of one below a prefix."""
    config = CoordinatorConfig(
        bind="127.0.0.1:0", data=tmp_path, base_path=request.param, drain_seconds=0.01, grace_seconds=0.1
    )
    async with coordinator(config) as url:
        client = Client(url)
        yield client
        await client.aclose()


@asynccontextmanager
async def coordinator(config: CoordinatorConfig) -> AsyncIterator[str]:
    stop = trio.Event()
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            yield await nursery.start(partial(run, config, stop=stop))
            stop.set()


async def get(client: Client, path: str) -> Reply:
    return await client.call("GET", path, timeout_seconds=SECONDS)


async def test_the_page_comes_with_a_strict_policy(site: Client) -> None:
    """Scripts and styles come from the coordinator only, and no string is ever read as markup."""
    answer = (await get(site, "/")).raise_for_status()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = dict(
        part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"


async def test_everything_the_page_refers_to_is_there(site: Client) -> None:
    """Each reference is relative and answered with its content type, and so is each import of a module."""
    page = Page((await get(site, "/")).raise_for_status().body.decode())
    wanted = [reference.removeprefix("web/") for reference in page.references]
    assert "live.js" in wanted
    assert "live.css" in wanted
    fetched: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in fetched:
            continue
        fetched.add(name)
        answer = (await get(site, f"/web/{name}")).raise_for_status()
        assert answer.headers["content-type"] == PAGE_FILES[name]
        assert answer.headers["x-content-type-options"] == "nosniff"
        if name.endswith(".js"):
            wanted += re.findall(r'from "\./([^"]+)"', answer.body.decode())
    assert fetched == set(PAGE_FILES)  # and nothing is served that the page does not use


async def test_other_files_are_not_served(site: Client) -> None:
    """Only what belongs to the page can be fetched from beside it."""
    for name in ("README.md", "live.html", "..%2Flive.py", "none.js"):
        assert (await get(site, f"/web/{name}")).status == 404


def test_the_page_has_no_inline_code() -> None:
    """The policy would refuse it: no inline script or style, no handler in an attribute."""
    assert Page(WEB.joinpath("live.html").read_text()).forbidden == []


def test_elements_that_modules_look_for_exist() -> None:
    """Each `byId("…")` finds exactly one element of the page."""
    ids = Page(WEB.joinpath("live.html").read_text()).ids
    assert len(ids) == len(set(ids))
    for name in PAGE_FILES:
        asked = re.findall(r'byId\("([^"]+)"\)', WEB.joinpath(name).read_text())
        assert set(asked) <= set(ids), name


@pytest.mark.parametrize("name", [*PAGE_FILES, "live.html"])
def test_nothing_comes_from_elsewhere(name: str) -> None:
    """No absolute address, of another site or of this one: the page may be mounted anywhere."""
    text = WEB.joinpath(name).read_text().replace(XML_NAMES, "")
    assert not re.search(r"""["'(]\s*(https?:)?//\w""", text)
    assert not re.search(r"""(src|href)=["']/""", text)
    assert not re.search(r"""["'`]/(api|web)\b""", text)
    assert "@import" not in text


@pytest.mark.parametrize("name", [name for name in PAGE_FILES if name.endswith(".js")])
def test_no_module_makes_markup_or_code_of_text(name: str) -> None:
    """The sinks that read strings as markup or code, or style attributes that the policy refuses."""
    text = WEB.joinpath(name).read_text()
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|cssText"
    assert not re.search(sinks, text)


def test_the_model_knows_what_every_job_event_says() -> None:
    """An event that moves a job and that `model.js` forgot would leave its fields as they were."""
    told = re.findall(r"^  (Job\w+):", WEB.joinpath("model.js").read_text(), re.MULTILINE)
    assert set(told) == {event.__name__ for row in JOB.values() for event in row}


def test_every_state_and_reason_has_its_words() -> None:
    """Each status has an icon, and each reason for which a job goes to a worker has a text."""
    words = WEB.joinpath("words.js").read_text()
    icons = words.partition("ICONS = {")[2].partition("}")[0]
    reasons = words.partition("REASONS = {")[2].partition("}")[0]
    assert set(re.findall(r"(\w+):", icons)) == {*JOB, *BUILD, "reused"}
    assert set(Why) <= set(re.findall(r'"?([\w-]+)"?: "', reasons))
