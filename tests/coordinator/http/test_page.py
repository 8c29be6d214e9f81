"""The live page: complete, self-contained and strict, as a browser gets it from a running coordinator."""

import gzip
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
import trio

from clients import compact
from clients.wire import Client, Reply
from coordinator.app import run
from coordinator.config import CoordinatorConfig
from coordinator.http.page import Page
from events.queue import Why
from events.transitions import BUILD, JOB, as_json

WEB = Path(str(files("clients").joinpath("web")))
SECONDS = 20.0
# Names of XML's own, in elements that scripts make; nobody fetches them.
XML_NAMES = re.compile(
    r"http://www\.w3\.org/(2000/svg|1999/xhtml|1998/Math/MathML|1999/xlink|XML/1998/namespace)"
)
SOURCES = sorted(path for path in WEB.joinpath("src").rglob("*") if path.suffix in (".ts", ".svelte"))
FRAMES = WEB / "src" / "core" / "frames.json"
BUNDLE_BYTES_MAX = 100_000


class Document(HTMLParser):
    """What a document refers to, and what it does that a strict policy forbids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.forbidden: list[str] = []
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        for name, value in attrs:
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
    assert answer.headers["cache-control"] == "no-cache"
    policy = dict(
        part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert policy["trusted-types"] == "'none'"


async def test_everything_the_page_refers_to_is_there(site: Client) -> None:
    """Each reference is relative and answered with its content type; what changes has a name that changes."""
    document = Document((await get(site, "/")).raise_for_status().body.decode())
    assert len([name for name in document.references if name.startswith("./web/")]) == 2
    for reference in document.references:
        assert reference.startswith("./")
        answer = (await get(site, reference[1:])).raise_for_status()
        assert answer.headers["content-type"] in (
            "text/css; charset=utf-8",
            "text/javascript; charset=utf-8",
            "image/svg+xml",
            "text/html; charset=utf-8",
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert ("immutable" in answer.headers["cache-control"]) == reference.startswith("./web/")


async def test_a_browser_gets_it_compressed(site: Client) -> None:
    """The bytes are the same either way, and caches are told that there are two."""
    plain = (await get(site, "/")).raise_for_status()
    small = (
        await site.call("GET", "/", headers=(("Accept-Encoding", "gzip, br"),), timeout_seconds=SECONDS)
    ).raise_for_status()
    assert (plain.headers["vary"], small.headers["content-encoding"]) == ("Accept-Encoding", "gzip")
    assert gzip.decompress(small.body) == plain.body


async def test_other_files_are_not_served(site: Client) -> None:
    """Only what was built for the page can be fetched."""
    for name in ("README.md", "index.html", "..%2Findex.html", ".sources", "none.js"):
        assert (await get(site, f"/web/{name}")).status == 404


def test_the_page_is_small() -> None:
    """All of it, compressed, in bytes: people open it over slow lines, too."""
    assert sum(len(file.small) for file in Page.built().files.values()) < BUNDLE_BYTES_MAX


def test_the_page_has_no_inline_code() -> None:
    """The policy would refuse it: no inline script or style, no handler in an attribute."""
    assert Document(Page.built().files["index.html"].body.decode()).forbidden == []


@pytest.mark.parametrize("name", sorted(Page.built().files))
def test_nothing_comes_from_elsewhere(name: str) -> None:
    """No absolute address is fetched, of another site or of this one: the page may be mounted anywhere."""
    text = XML_NAMES.sub("", Page.built().files[name].body.decode())
    assert not re.search(r"""(src|href)=["']?(https?:)?/""", text)
    assert not re.search(r"""["'`]/(api|web)\b""", text)
    assert "@import" not in text
    assert not re.search(r"url\(\s*[\"']?(https?:)?//", text)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_source_makes_markup_or_code_of_text(path: Path) -> None:
    """Nothing reads strings as markup or code, and no markup has styles: the policy refuses both."""
    text = path.read_text()
    markup = r"\{@html|innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|cssText"
    assert not re.search(rf"{markup}|\beval\b|new Function", text)
    assert not re.search(r"<[^>]*\sstyle=", text)


def test_the_page_knows_what_every_job_event_says() -> None:
    """An event that moves a job and that the page forgot would leave its fields as they were."""
    says = WEB.joinpath("src/core/build.ts").read_text().partition("const SAYS")[2].partition("\n};")[0]
    assert set(re.findall(r"^  (Job\w+):", says, re.MULTILINE)) == {
        event.__name__ for row in JOB.values() for event in row
    }


def test_the_tests_of_the_page_use_the_tables_as_they_are() -> None:
    """`transitions.json` beside them is what the coordinator tells."""
    assert json.loads(WEB.joinpath("src/core/transitions.json").read_text()) == as_json()


def frames_of() -> str:
    """A recorded log in the compact form, by the command and all at once, with the records that it says."""
    golden = Path(__file__).parents[2] / "golden" / "workers_are_lost_and_artifacts_with_them.jsonl"
    records = [json.loads(line) for line in golden.read_text().splitlines()]
    for record in records:
        record.pop("chain", None)
    lines = [json.dumps(record).encode() for record in records]
    frames = [compact.encode(lines), *(compact.encode(lines[start : start + 3]) for start in range(0, 9, 3))]
    assert [compact.decode(frame) for frame in frames[:1]] == [records]
    told = {"frames": [frame.decode() for frame in frames], "records": records}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n"


def test_the_tests_of_the_page_read_the_compact_form_as_it_is() -> None:
    """`frames.json` beside them is what the coordinator sends."""
    assert FRAMES.read_text() == frames_of()


def test_every_state_and_reason_has_its_words() -> None:
    """Each status has an icon, and each reason for which a job goes to a worker has a text."""
    words = WEB.joinpath("src/core/words.ts").read_text()
    icons = words.partition("ICONS: ")[2].partition("};")[0]
    reasons = words.partition("REASONS: ")[2].partition("};")[0]
    assert {*JOB, *BUILD, "reused"} <= set(re.findall(r"(\w+):", icons))
    assert set(Why) <= set(re.findall(r'"?([\w-]+)"?: "', reasons))
