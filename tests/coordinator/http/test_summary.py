"""A build without scripts: what there is to know of it, in HTML that can harm nobody."""

import json
from html.parser import HTMLParser
from pathlib import Path

from tests.coordinator.live import running

HOSTILE = "<script>alert(1)</script>\u202e&amp;"
A, B = "61" + "0" * 38, "62" + "0" * 38


class Links(HTMLParser):
    """Where the links of a page lead, what is written, and which elements it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.text = ""
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.hrefs += [value for name, value in attrs if name == "href" and value]

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_it_says_what_failed_and_where_the_output_is(tmp_path: Path) -> None:
    """Whatever things are called; its links are there, also below a base path."""
    jobs = [{"ID": id_, "Name": HOSTILE, "Cmds": [{"Exec": ["x"]}]} for id_ in (A, B)]
    async with running(tmp_path, base_path="/farm") as live:
        raw = await live.connect()
        body = json.dumps({"Graph": {"SourceFiles": None, "Jobs": jobs}, "Name": HOSTILE}).encode()
        await raw.send("POST", "/farm/build", body)
        await raw.head()
        build = json.loads(await raw.chunk())["ID"]
        await live.post(f"/signal?build_id={build}", {"UploadDone": {}})
        page = await live.call("GET", f"/b/{build[:8]}")
        assert "it goes on" in Links(page.body.decode()).text
        await live.heartbeat()
        failed = {"ID": A, "Stdout": None, "Stderr": "b2g=", "ExitCode": 1, "Error": "exit <1>"}
        await live.heartbeat(FinishedJob=[failed])
        page = await live.call("GET", f"/b/{build}")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        seen = Links(page.body.decode())
        shown = "<script>alert(1)</script>�&amp;"
        assert f"{shown}: exit <1> (stderr stdout)" in seen.text
        assert f"{shown}: failed" in seen.text
        assert "script" not in seen.tags
        stderr, _stdout, here, listed = seen.hrefs
        assert (await live.call("GET", stderr.removeprefix("/farm"))).body == b"oh"
        assert here == f"/farm/#/b/{build}"
        listing = Links((await live.call("GET", listed.removeprefix("/farm"))).body.decode())
        assert listing.hrefs == [f"/farm/b/{build}", "/farm/"]
        assert f"{shown}: failed" in listing.text
        assert (await live.call("GET", "/b/0123")).status == 404
        await raw.aclose()
