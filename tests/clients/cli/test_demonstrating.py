"""The demo: real processes, a real picture, and nothing left running."""

from pathlib import Path

import pytest
import trio

from clients import demo
from clients.cli.demonstrating import Wishes, demonstrate
from clients.distbuild import BuildRequest


@pytest.fixture
def small() -> BuildRequest:
    return demo.build_request(width=32, height=16, columns=2, rows=2)


@pytest.mark.e2e
async def test_from_nothing_to_a_picture(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], small: BuildRequest
) -> None:
    """The picture's path is the result; a second time the same work is reused, and it is there again."""
    out = tmp_path / "out"
    wishes = Wishes(keep=False, data=tmp_path / "data", out=out, progress="lines", color="never")
    picture = out / demo.PICTURE_JOB / demo.PICTURE
    with trio.fail_after(60):
        for told in ("7 jobs: 7 done", "7 jobs: 7 reused"):
            assert await demonstrate(wishes, small) == 0
            said = capfd.readouterr()
            assert said.out.splitlines()[-1] == str(picture)  # before it, unless configured, log lines
            assert said.err.startswith("live page: http://127.0.0.1:")
            assert f"  {told}\n" in said.err
            assert picture.read_bytes().startswith(b"\x89PNG\r\n")
            picture.unlink()
    assert (tmp_path / "data/log.sqlite3").exists()
