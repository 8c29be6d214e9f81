"""The README's lines do what it says, and leave no route out."""

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import trio

from coordinator.config import CoordinatorConfig
from coordinator.http.site import application
from coordinator.parts import Parts
from tests.coordinator.http.buildapi_farm import LINUX
from tests.coordinator.live import running

README = Path(__file__).parents[3] / "coordinator" / "http" / "README.md"
# The page and its files are `tests/coordinator/http/test_page.py`'s.
PAGE = {"/", "/mark.svg", "/web/<name>"}


def script() -> str:
    return "".join(re.findall(r"^```sh\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL))


async def test_the_lines_work(tmp_path: Path) -> None:
    """Top to bottom, in a real shell, below a base path."""
    home = tmp_path / "home"
    await trio.Path(home).mkdir()
    builders = tmp_path / "builders.toml"
    builders.write_text(re.findall(r"^```toml\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)[0])
    tmp_path.joinpath("linux.toml").write_text(LINUX)
    async with running(tmp_path / "data", base_path="/coordinator", builders=builders) as live:
        lines, count = re.subn(r"^E=.*$", f"E={live.url}", script(), flags=re.MULTILINE)
        assert count == 1
        ran = await trio.run_process(
            ["bash", "-euo", "pipefail", "-c", lines],
            cwd=home,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
        )
        text = ran.stdout.decode()
        assert ran.returncode == 0, text
    for words in (
        '"MissingFiles":["7300000000000000000000000000000000000000"]',
        '"Stdout":"aGVsbG8sIHdvcmxk"',
        '"BuildFinished":{}',
        '{"size":12}world',
        "terzetto-from: 7",
        '"before":[0]',
        '"lines":[{"line":1,"offset":0}]',
        '"text":"hello, world"',
        "307 http://127.0.0.1:9101/worker/0/artifact?id=6100000000000000000000000000000000000000&digest=",
        "TZ-1004",
        'data: {"position":',
        "terzetto_records_total",
        '{"status":"OK","request_id":8}',
        '{"stableDelay":0,"job_complete":false,"job_passed":false}',
        "<h1>Job requests</h1>",
        "301 http://",
    ):
        assert words in text, (words, text)


def test_no_route_is_left_out(tmp_path: Path) -> None:
    """Each has a line."""
    parts = cast("Parts", SimpleNamespace(config=CoordinatorConfig(data=tmp_path)))
    # The job manager's routes and buildapi's are there below other prefixes, too, the latter with a slash.
    rules = {
        rule.rule
        for rule in application(parts).url_map.iter_rules()
        if not rule.websocket and not rule.endpoint.startswith("jobs-")
        if not re.fullmatch(r"/self-serve.*|/.+/", rule.rule)
    }
    lines = script().replace('"$O', '"$E/api/builds/$B/jobs/$A/output')
    asked = {line.partition("?")[0] for line in re.findall(r'"\$E(/[^" ]*)', lines)}
    for rule in rules - PAGE:
        pattern = re.compile(re.sub(r"<(path:)?\w+>", "[^/]+", rule))
        assert any(pattern.fullmatch(target) for target in asked), f"no line asks for {rule}"
