"""Real processes under a real reaper: how they end, what they say, and that none is left behind."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from workers.commands import Commands, Ended, NotStarted, ReaperLost

HERE = Path("/")


class Heard:
    """What a command printed."""

    def __init__(self) -> None:
        self.stdout = b""
        self.stderr = b""
        self.came = trio.Event()

    def __call__(self, stdout: bytes, stderr: bytes) -> None:
        self.stdout += stdout
        self.stderr += stderr
        if stdout or stderr:
            self.came.set()


@asynccontextmanager
async def _commands() -> AsyncIterator[Commands]:
    commands = Commands()
    try:
        with trio.fail_after(20):
            yield commands
    finally:
        await commands.aclose()


async def _run(
    commands: Commands, *argv: str, cwd: Path = HERE, **environ: str
) -> tuple[Ended, bytes, bytes]:
    heard = Heard()
    ended = await commands.run(argv, environ, cwd, heard)
    return ended, heard.stdout, heard.stderr


def _alive(pid: int) -> bool:
    try:
        # A zombie whose parent is elsewhere counts as dead.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def _gone(*pids: int) -> None:
    with trio.fail_after(2):
        while any(_alive(pid) for pid in pids):
            await trio.sleep(0.01)


ENDINGS = {
    "success": ("exit 0", Ended(exit_code=0), None),
    "failure": ("exit 7", Ended(exit_code=7), "exit status 7"),
    "killed": ("kill -9 $$", Ended(exit_code=-1, signal=9), "signal: killed"),
    "terminated": ("kill -15 $$", Ended(exit_code=-1, signal=15), "signal: terminated"),
    "crashed": ("kill -11 $$", Ended(exit_code=-1, signal=11), "signal: segmentation fault"),
}


@pytest.mark.parametrize(("script", "ended", "error"), ENDINGS.values(), ids=ENDINGS)
async def test_endings_are_told_as_go_tells_them(script: str, ended: Ended, error: str | None) -> None:
    """Exit codes as they are, -1 for signals, and Go's words for both."""
    async with _commands() as commands:
        assert (await _run(commands, "sh", "-c", script))[0] == ended
    assert ended.error == error


async def test_output_is_bytes_and_the_streams_stay_apart() -> None:
    """Nothing is decoded, nothing is mixed up."""
    async with _commands() as commands:
        ended, stdout, stderr = await _run(
            commands, "sh", "-c", r"printf '\377\000\033[1mx'; printf 'err\r\n' >&2; exit 1"
        )
    assert (ended.exit_code, stdout, stderr) == (1, b"\xff\x00\x1b[1mx", b"err\r\n")


async def test_the_environment_is_exactly_what_is_given() -> None:
    """Nothing of the worker's own environment leaks in; no entries mean an empty environment."""
    async with _commands() as commands:
        assert (await _run(commands, "env"))[1] == b""
        assert (await _run(commands, "env", A="b c", B=""))[1] == b"A=b c\nB=\n"


async def test_a_command_reads_nothing_and_runs_where_it_is_told(tmp_path: Path) -> None:
    """Standard input is empty, the working directory is the one given."""
    async with _commands() as commands:
        assert (await _run(commands, "sh", "-c", "cat; pwd", cwd=tmp_path))[1] == f"{tmp_path}\n".encode()


async def test_signals_are_as_a_program_expects_them() -> None:
    """A writer whose reader has gone is killed by SIGPIPE, as under a shell, though Python ignores it."""
    async with _commands() as commands:
        assert (await _run(commands, "sh", "-c", "(sleep 0.1; yes; echo $? >&2) | true"))[2] == b"141\n"


async def test_a_command_inherits_no_descriptors() -> None:
    """Only the standard three, and the one that `ls` opens itself."""
    async with _commands() as commands:
        assert (await _run(commands, "ls", "/proc/self/fd"))[1].split() == [b"0", b"1", b"2", b"3"]


NOT_STARTED = {
    "not in PATH": (("no-such-program",), 'exec: "no-such-program": executable file not found in $PATH'),
    "no such file": (("/no/such",), "fork/exec /no/such: no such file or directory"),
    "a directory": (("/etc",), "fork/exec /etc: permission denied"),
    "no program": (("/etc/passwd",), "fork/exec /etc/passwd: permission denied"),
    "empty name": (("",), "exec: no command"),
    "NUL": (("/bin/echo", "a\0b"), "exec: embedded null byte"),
    "only in the current directory": (("sh.txt",), 'exec: "sh.txt": executable file not found in $PATH'),
}


@pytest.mark.parametrize(("argv", "reason"), NOT_STARTED.values(), ids=NOT_STARTED)
async def test_what_cannot_be_started_says_why(argv: tuple[str, ...], reason: str) -> None:
    """In Go's words; and the next command is not the worse for it."""
    async with _commands() as commands:
        with pytest.raises(NotStarted) as refusal:
            await _run(commands, *argv)
        assert str(refusal.value) == reason
        assert (await _run(commands, "true"))[0] == Ended(exit_code=0)


async def test_a_missing_working_directory_says_so(tmp_path: Path) -> None:
    """The error names the directory, not the program."""
    async with _commands() as commands:
        with pytest.raises(NotStarted, match=r"^chdir .*/nowhere: no such file or directory$"):
            await _run(commands, "true", cwd=tmp_path / "nowhere")


async def test_large_output_arrives_whole() -> None:
    """Many times what pipes and sockets hold, on both streams at once."""
    script = "head -c 5000000 /dev/zero & head -c 3000000 /dev/zero >&2; wait"
    async with _commands() as commands:
        ended, stdout, stderr = await _run(commands, "sh", "-c", script)
    assert (ended.exit_code, len(stdout), len(stderr)) == (0, 5_000_000, 3_000_000)


async def test_output_is_heard_while_the_command_runs() -> None:
    """Within a moment, not at the end."""
    heard = Heard()
    async with _commands() as commands, trio.open_nursery() as nursery:
        nursery.start_soon(commands.run, ["sh", "-c", "echo early; sleep 1000"], {}, HERE, heard)
        await heard.came.wait()
        nursery.cancel_scope.cancel()
    assert heard.stdout == b"early\n"


GRANDCHILDREN = textwrap.dedent("""\
    sleep 1000 & echo $!
    (trap '' TERM HUP; exec setsid sh -c 'trap "" TERM HUP; echo $$; exec sleep 1000') &
    # One that forks twice, leaves its session and closes everything: a daemon.
    python3 -c '
    import os, sys
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            print(os.getpid(), flush=True)
            os.closerange(0, 3)
            os.execvp("sleep", ["sleep", "1000"])
        os._exit(0)
    os.wait()
    '
""")


def _pids(output: bytes) -> list[int]:
    return [int(line) for line in output.split()]


async def test_cancelling_kills_everything_within_two_seconds() -> None:
    """Children, those that ignore signals, and daemons that have left their session."""
    heard = Heard()
    environ = {"PATH": os.environ["PATH"]}
    async with _commands() as commands:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(commands.run, ["sh", "-c", GRANDCHILDREN + "sleep 1000"], environ, HERE, heard)
            while len(heard.stdout.split()) < 3:
                heard.came = trio.Event()
                await heard.came.wait()
            pids = _pids(heard.stdout)
            assert all(map(_alive, pids))
            began = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began < 2
        assert not any(map(_alive, pids))
        assert (await _run(commands, "true"))[0] == Ended(exit_code=0)


async def test_stragglers_are_killed_when_the_job_is_over() -> None:
    """They may outlive a command, for the job's next one, but not the job."""
    async with _commands() as commands:
        _, stdout, _ = await _run(commands, "sh", "-c", GRANDCHILDREN + "sleep 0.3", PATH=os.environ["PATH"])
        pids = _pids(stdout)
        assert len(pids) == 3
        assert all(map(_alive, pids))
        await commands.clean()
        assert not any(map(_alive, pids))


async def test_a_fork_bomb_is_stopped() -> None:
    """A process that never stops forking, into new sessions too, is killed with all it forked."""
    heard = Heard()
    async with _commands() as commands:
        # Not one that doubles, so that a failing test does not take the machine along.
        argv = ["sh", "-c", "while :; do sleep 1000 & (setsid sleep 1000 &); echo x; done"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(commands.run, argv, {"PATH": os.environ["PATH"]}, HERE, heard)
            while len(heard.stdout) < 200:
                heard.came = trio.Event()
                await heard.came.wait()
            nursery.cancel_scope.cancel()
        assert (await _run(commands, "true"))[0] == Ended(exit_code=0)


async def test_a_background_process_does_not_hold_a_command_up() -> None:
    """The command ends with its process, half a second after it at most, not with what it left running."""
    async with _commands() as commands:
        began = trio.current_time()
        ended, stdout, _ = await _run(commands, "sh", "-c", "sleep 1000 & echo said; exit 3")
        assert (ended.exit_code, stdout) == (3, b"said\n")
        assert trio.current_time() - began < 2


async def test_late_words_of_a_child_are_heard() -> None:
    """What follows within a moment of the end still belongs to the command."""
    async with _commands() as commands:
        assert (await _run(commands, "sh", "-c", "(sleep 0.1; echo late) & exit 0"))[1] == b"late\n"


async def test_a_reaper_that_is_lost_is_told_and_replaced() -> None:
    """The running command's fate is unknown; the next command gets a new reaper."""
    heard = Heard()
    async with _commands() as commands:

        async def lose() -> None:
            await heard.came.wait()
            os.kill(int(heard.stdout), signal.SIGKILL)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lose)
            with pytest.raises(ReaperLost):
                await commands.run(["sh", "-c", "echo $PPID; sleep 1"], {}, HERE, heard)
        assert (await _run(commands, "true"))[0] == Ended(exit_code=0)


WORKER = """\
import sys, trio
from pathlib import Path
from workers.commands import Commands
async def main():
    on_output = lambda stdout, stderr: (sys.stdout.buffer.write(stdout), sys.stdout.flush())
    await Commands().run(["sh", "-c", sys.argv[1]], {"PATH": sys.argv[2]}, Path("/"), on_output)
trio.run(main)
"""


async def test_a_killed_worker_takes_its_jobs_along() -> None:
    """kill -9 gives the worker no chance to clean up; the reaper does, daemons included."""
    argv = [sys.executable, "-c", WORKER, GRANDCHILDREN + "echo $$; sleep 1000", os.environ["PATH"]]
    with trio.fail_after(20):
        worker = await trio.lowlevel.open_process(argv, stdout=subprocess.PIPE)
        assert worker.stdout is not None
        said = b""
        while len(said.split()) < 4:
            said += await worker.stdout.receive_some(1000)
        pids = _pids(said)
        assert all(map(_alive, pids))
        worker.kill()
        await worker.wait()
        await _gone(*pids)
        await worker.stdout.aclose()
