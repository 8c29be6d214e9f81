"""`terzetto build` at a terminal: what a person sees of it, and what it leaves behind."""

import json
import re
import signal
import sys
from pathlib import Path

import trio

from tests.clients.cli.nightly import begun, ended_badly, ended_well, ids, sources
from tests.clients.cli.terminal import Session, terminal
from tests.clients.coordinators import BUILD, Answer, ScriptedCoordinator
from tests.clients.peers import Peer, serving

BASH = ("bash", "--norc", "--noprofile", "-i")
# No line of these tests is broken.
WIDE = 250
EVENTS = f"GET /api/builds/{BUILD}/events"
# Going up and erasing what is below: nothing that would have to be put right after a crash.
DRAWS = {"A", "J"}


def is_tidy(session: Session) -> bool:
    """Nothing of the last picture remains."""
    return session.screen.is_cursor_visible and not re.search(r"▸|\d/2 jobs", session.screen.text)


def frame(session: Session) -> list[str]:
    """The last picture."""
    lines = session.screen.text.split("\n")
    heads = [place for place, text in enumerate(lines) if text.startswith("build bbb")]
    return lines[heads[-1] :]


async def test_the_user_cancels(file: Path) -> None:
    """What runs is drawn below what has been; Ctrl-C cancels; stdout has nothing but the result."""
    coordinator = ScriptedCoordinator()
    coordinator.records = begun(ids(file))
    async with serving(coordinator) as url, terminal(["build", str(file), "--coordinator", url]) as session:
        await session.until("▸ compile  w1:1")
        assert "build bbbbbbbb (nightly)  0/2 jobs  ▸ 1" in session.screen.text
        assert "blocked 1: waiting for dependencies" in session.screen.text
        session.press(b"\x03")
        assert await session.wait() == 130
        await session.until("⊘ build bbbbbbbb (nightly) cancelled")
        said = "Cancelling build bbbbbbbb (1 running). Press Ctrl-C again to detach now."
        assert said in session.screen.text
        assert is_tidy(session)
        assert session.screen.sequences == {*DRAWS, "m"}
        assert session.out.decode() == f"{BUILD}\n"


async def test_the_size_changes(file: Path) -> None:
    """Each picture fits, and when the program is told to end nothing remains but what was to stay."""
    coordinator = ScriptedCoordinator()
    coordinator.records = begun(ids(file))
    async with (
        serving(coordinator) as url,
        terminal(["build", str(file), "--coordinator", url], environ={"NO_COLOR": "1"}) as session,
    ):
        page = f"{url}/#/b/{BUILD}"
        await session.until("Ctrl-C cancels")
        for columns in (200, 40, 20, 80):
            session.resize(columns, 24)
            cut = page if columns > len(page) + 2 else f"{page[: columns - 4]}…"
            foot = [f"{cut} · Ctrl-C cancels"] if columns == 200 else [cut, "Ctrl-C cancels"]
            await session.until("\n".join(foot))
            drawn = frame(session)
            assert (len(drawn), drawn[3:]) == (3 + len(foot), foot)
            assert all(len(text) < columns for text in drawn)
        session.process.send_signal(signal.SIGTERM)
        assert await session.wait() == 143
        await session.until("⊘ build bbbbbbbb (nightly) cancelled")
        assert is_tidy(session)
        assert session.screen.sequences == DRAWS


def stalls_until(gate: trio.Event) -> Answer:
    """Gives no answer, and hangs up in the end."""

    async def answer(peer: Peer) -> None:
        await gate.wait()
        await peer.stream.aclose()

    return answer


def breaks_off(records: list[dict[str, object]], gate: trio.Event) -> Answer:
    """Tells these records, and hangs up in the end."""

    async def answer(peer: Peer) -> None:
        await peer.start()
        for entry in records:
            await peer.say(json.dumps(entry).encode() + b"\n")
        await gate.wait()
        await peer.stream.aclose()

    return answer


async def test_every_idle_moment_has_its_reason(file: Path) -> None:
    """Whoever keeps the build waiting, and for what, from the first request to the second Ctrl-C."""
    gates = [trio.Event() for _ in range(6)]
    coordinator = ScriptedCoordinator(missing=sources(file))
    coordinator.records = begun(ids(file))
    coordinator.blobs["/api/workers"] = b'{"workers": []}'
    coordinator.instead = {
        "POST /build": [stalls_until(gates[0])],
        "PUT /file": [stalls_until(gates[1])],
        "POST /signal": [stalls_until(gates[2])],
        EVENTS: [breaks_off(begun(ids(file))[:-1], gates[3]), stalls_until(gates[4])],
    }
    async with (
        serving(coordinator) as url,
        terminal(["build", str(file), "--coordinator", url], columns=WIDE) as session,
    ):
        for gate, reason in zip(
            gates,
            (
                "waiting for the coordinator to take the build",
                "uploading 0/1 source files",
                "waiting for the coordinator to have all source files",
                "queued 1: no worker is there; start one with `terzetto worker`",
                "reconnecting (",
            ),
            strict=False,
        ):
            await session.until(reason)
            gate.set()
        await session.until("▸ compile  w1:1")
        assert session.raw.startswith(b"reading the graph")
        assert "reconnecting" not in "\n".join(frame(session))
        coordinator.instead["POST /signal"] = [stalls_until(gates[5])]
        session.press(b"\x03")
        await session.until("cancelling: 1 running")
        session.press(b"\x03")
        assert await session.wait() == 130
        await session.until(
            f"left before build bbbbbbbb had ended: terzetto watch bbbbbbbb --coordinator {url}"
        )
        assert is_tidy(session)


async def test_a_failure_is_in_the_scrollback_at_once(file: Path) -> None:
    """All that the job printed, harmless, while the build goes on; of very much its two ends, and where the
    rest is."""
    jobs = ids(file)
    out = b"first\n\x1b]0;title\x07\x1b]52;c;aGk=\x07\x1b[2J\x1b[?1049h" + b"\n"
    out += (b"middle" * 30 + b"\n") * 12_000 + b"\x1b[31mlast\x1b[0m\n"
    [*before, failed, cancelled, ended] = ended_badly(jobs)
    failed = {**failed, "stderr_bytes": 0, "stdout_bytes": len(out)}
    coordinator = ScriptedCoordinator()
    coordinator.blobs[f"/api/builds/{BUILD}/jobs/{jobs['compile']}/output"] = out
    gate = trio.Event()
    coordinator.records = [*before, failed, cancelled, ended]
    coordinator.instead[EVENTS] = [breaks_off([*before, failed], gate)]
    async with (
        serving(coordinator) as url,
        terminal(["build", str(file), "--coordinator", url], columns=WIDE) as session,
    ):
        await session.until("  | last")
        text = session.screen.text
        assert "✗ compile  failed: exit status 2" in text
        assert "  | first" in text
        more = "not shown; all of it: terzetto output bbbbbbbb"
        assert f"  | … 1.1 MiB {more} {jobs['compile'][:8]} --coordinator {url}" in text
        assert sum("middle" in line for line in text.split("\n")) < 6000
        gate.set()
        assert await session.wait() == 1
        await session.until(f"  {url}/#/b/{BUILD}\n")
        lines = session.screen.text.split("\n")
        tail = lines[lines.index("✗ compile: exit status 2") :]
        assert tail[1:21] == [*[f"    | {'middle' * 30}"] * 19, "    | last"]
        assert tail[21].startswith("✗ build bbbbbbbb (nightly) failed in ")
        assert session.screen.sequences == {*DRAWS, "m"}
        assert b"\x1b]" not in session.raw


async def test_ctrl_z_and_bg_and_fg(file: Path) -> None:
    """A shell gets a tidy terminal, for itself as long as it uses it, and what it wrote is not drawn over."""
    coordinator = ScriptedCoordinator()
    coordinator.records = begun(ids(file))
    async with (
        serving(coordinator) as url,
        terminal([], program=BASH, environ={"PS1": "$ ", "TERZETTO_COORDINATOR": url}) as session,
    ):
        session.press(f"{sys.executable} -m clients.cli build {file}\n".encode())
        await session.until("▸ compile  w1:1")
        session.press(b"\x1a")
        await session.until("Stopped")
        assert is_tidy(session)
        session.press(b"bg\n")
        session.press(b"echo mean''while >&2\n")
        await session.until("\nmeanwhile\n")
        assert is_tidy(session)
        session.press(b"fg\n")
        await session.until("▸ compile  w1:1")
        above = session.screen.text.rpartition("build bbbbbbbb (nightly)  0/2")[0]
        assert "Stopped" in above
        assert "\nmeanwhile\n" in above
        assert "▸" not in above
        session.press(b"\x03")
        await session.until("⊘ build bbbbbbbb (nightly) cancelled")
        assert is_tidy(session)
        session.press(b"exit 7\n")
        assert await session.wait() == 7


async def test_a_terminal_that_cannot_be_drawn_on(file: Path) -> None:
    """Gets the lines that a pipe gets, each with its prefix, and not one escape sequence."""
    coordinator = ScriptedCoordinator()
    coordinator.records = ended_well(ids(file))
    async with (
        serving(coordinator) as url,
        terminal(["build", str(file), "--coordinator", url], environ={"TERM": "dumb"}) as session,
    ):
        assert await session.wait() == 0
        await session.until(f"[build]   {url}/#/b/{BUILD}")
        assert b"\x1b" not in session.raw
        prefixed = re.compile(rb"\[(build|compile|bin/app)\] ")
        assert all(prefixed.match(line) for line in session.raw.splitlines())
