"""A terminal for tests: a pseudo-terminal with a program in it, and a screen that shows what it drew."""

import contextlib
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Mapping, Sequence
from fcntl import ioctl
from functools import partial

import trio

from tests.clients.cli import command

# Makes the pseudo-terminal the controlling one, so that Ctrl-C is a signal.
_SHIM = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(2, termios.TIOCSCTTY, 0); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
# A bound, not a measurement.
SECONDS_MAX = 60
TERZETTO = (sys.executable, "-m", "clients.cli")
_PRINTED = re.compile(r"[^\x00-\x1f]+")
_SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([@-~])")


class Screen:
    """What a person sees: rows, of which the lowest `rows` can still be drawn on.

    `reflows`: on a change of its width it breaks lines anew, as most terminals do; else it cuts them off.
    """

    def __init__(self, columns: int, rows: int, *, reflows: bool = True) -> None:
        self.columns, self.rows = columns, rows
        self.lines = [""]
        self.row = self.column = 0
        self.is_cursor_visible = True
        self.sequences: set[str] = set()
        self._reflows = reflows
        # Whether a row goes on with what did not fit into the one above.
        self._goes_on = [False]
        self._pending = ""

    def feed(self, text: str) -> None:
        text = self._pending + text
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                match = _SEQUENCE.match(text, at)
                if match is None:
                    break
                self._act(match[1], match[2])
                at = match.end()
            elif text[at] < " ":
                self._move(text[at])
                at += 1
            else:
                match = _PRINTED.match(text, at)
                assert match is not None
                self._put(match[0])
                at = match.end()
        self._pending = text[at:]

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        if not self._reflows:
            self.lines = [line[:columns] for line in self.lines]
            self.column = min(self.column, columns - 1)
            return
        whole: list[str] = []
        for number, (line, goes_on) in enumerate(zip(self.lines, self._goes_on, strict=True)):
            whole = [*whole[:-1], whole[-1] + line] if goes_on else [*whole, line]
            if number == self.row:
                cursor = len(whole) - 1, len(whole[-1]) - len(line) + self.column
        self.lines, self._goes_on = [], []
        for number, line in enumerate(whole):
            if number == cursor[0]:
                self.row, self.column = len(self.lines) + cursor[1] // columns, cursor[1] % columns
            pieces = [line[at : at + columns] for at in range(0, max(1, len(line)), columns)]
            self.lines += pieces
            self._goes_on += [False] + [True] * (len(pieces) - 1)
        self._extend()

    def _move(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self._down()

    def _put(self, text: str) -> None:
        while text:
            if self.column == self.columns:
                self.column = 0
                self._down()
                self._goes_on[self.row] = True
            piece, text = text[: self.columns - self.column], text[self.columns - self.column :]
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + piece + line[self.column + len(piece) :]
            self.column += len(piece)

    def _down(self) -> None:
        self.row += 1
        self._extend()

    def _extend(self) -> None:
        while self.row >= len(self.lines):
            self.lines.append("")
            self._goes_on.append(False)

    def _act(self, parameters: str, kind: str) -> None:
        self.sequences.add(parameters + kind if parameters.startswith("?") else kind)
        number = int(parameters) if parameters.isdigit() else 1
        if kind == "A":
            # What has scrolled off is out of reach.
            self.row = max(self.row - number, len(self.lines) - self.rows, 0)
        elif kind == "J":
            assert not parameters, "only what is below is ever erased"
            self.lines[self.row] = self.lines[self.row][: self.column]
            del self.lines[self.row + 1 :], self._goes_on[self.row + 1 :]
        elif parameters == "?25":
            self.is_cursor_visible = kind == "h"


class Session:
    """`terzetto` in a terminal; `screen` shows it, `out` has what it wrote to stdout."""

    def __init__(self, process: trio.Process, master: int, columns: int, rows: int) -> None:
        self.process = process
        self.screen = Screen(columns, rows)
        self.out = b""
        self.raw = b""
        self._master = master
        self._changed = trio.Event()

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def resize(self, columns: int, rows: int) -> None:
        ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(columns, rows)

    async def until(self, text: str) -> None:
        """Wait until the text has been on the screen, in the lines or in what was drawn over."""
        while text not in self.screen.text:
            await self._changed.wait()

    async def wait(self) -> int:
        return await self.process.wait()

    async def read_terminal(self) -> None:
        decoder = __import__("codecs").getincrementaldecoder("utf-8")("replace")
        while True:
            await trio.lowlevel.wait_readable(self._master)
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return  # the program has closed its end
            self.raw += data
            self.screen.feed(decoder.decode(data))
            self._changed.set()
            self._changed = trio.Event()

    async def read_stdout(self) -> None:
        assert self.process.stdout is not None
        async for chunk in self.process.stdout:
            self.out += chunk


@contextlib.asynccontextmanager
async def terminal(
    arguments: Sequence[str],
    *,
    columns: int = 80,
    rows: int = 24,
    environ: Mapping[str, str] | None = None,
    program: Sequence[str] = TERZETTO,
) -> AsyncIterator[Session]:
    """Run `terzetto`, or another program, for a minute at most; stdin and stderr are a terminal."""
    master, slave = os.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    try:
        with trio.fail_after(SECONDS_MAX):
            async with trio.open_nursery() as nursery:
                process = await nursery.start(
                    partial(
                        trio.run_process,
                        [sys.executable, "-c", _SHIM, *program, *arguments],
                        stdin=slave,
                        stderr=slave,
                        stdout=subprocess.PIPE,
                        check=False,
                        env={**command.environ(), "TERM": "xterm-256color", **(environ or {})},
                    )
                )
                os.close(slave)
                slave = -1
                session = Session(process, master, columns, rows)
                nursery.start_soon(session.read_stdout)
                nursery.start_soon(session.read_terminal)
                try:
                    yield session
                finally:
                    with contextlib.suppress(ProcessLookupError):
                        process.send_signal(signal.SIGKILL)
                nursery.cancel_scope.cancel()
    finally:
        os.close(master)
        if slave >= 0:
            os.close(slave)
