"""What a worker over the composer worker API makes of its jobs, and of its own outages."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from clients import composer as wire
from clients.codec import Malformed
from clients.composer_client import ComposerClient
from clients.distbuild import Cmd
from clients.wire import Client
from tests.coordinator.http.composer import Dialect
from tests.coordinator.live import running
from workers import composer
from workers.config import WorkerConfig
from workers.execute import Verdict
from workers.output import Output

TOKEN = "6f4d1f2e-0000-4000-8000-000000000001"


def given(args: str = "{}", *dynamic: str, location: str = f"/jobs/{TOKEN}") -> wire.RequestJobResponse:
    return wire.RequestJobResponse(
        id=TOKEN,
        location=location,
        artifact_location=f"{location}/artifacts/",
        type="terzetto",
        args=wire.raw(args),
        dynamic_args=tuple(map(wire.raw, dynamic)) or None,
    )


def test_arguments_say_what_to_run() -> None:
    """In the words of the log; what was made before lies beside the inputs."""
    spec = composer.spec_of(given('{"cmds":[{"exec":["true"]}],"timeout_seconds":2}', '{"a":"{{{"}', "1"))
    assert (spec.id, spec.lease) == (f"{TOKEN.replace('-', '')}00000000", TOKEN.replace("-", ""))
    told, run = spec.cmds
    assert json.loads(told.cat_template) == [{"a": "{{{"}, 1]
    assert "{{" not in told.cat_template
    assert (told.cat_output, run) == ("{{.SourceDir}}/dynamic_args.json", Cmd(exec=("true",)))
    assert spec.timeout_seconds == 2


@pytest.mark.parametrize("args", ["1", '{"cmds":1}', '{"cmds":[{"exec":"true"}]}'])
def test_arguments_that_make_no_sense(args: str) -> None:
    with pytest.raises(Malformed):
        composer.spec_of(given(args))


def test_a_location_must_name_a_token() -> None:
    with pytest.raises(Malformed):
        composer.spec_of(given(location="/jobs/elsewhere"))


async def test_nobody_is_sent_elsewhere() -> None:
    """A service says where a job is, and that is below its own path."""
    client = ComposerClient(Client("http://localhost:1"))
    for location in ("/admin", "http://evil.invalid/api/worker/v1/jobs/x", "/api/worker/v1/jobs/../../x"):
        with pytest.raises(Malformed):
            await client.is_canceled(location)


def test_a_result_says_how_it_went() -> None:
    """With what was printed; why it failed stands where every type of job has it."""
    output = Output.limited()
    output.append(b"out\xff", b"err")
    said: Any = json.loads(composer.result_of(Verdict(exit_code=3, error="exit status 3"), output))
    assert said.pop("job_error")["reason"] == "exit status 3"
    assert said == {"exit_code": 3, "stdout": "out\N{REPLACEMENT CHARACTER}", "stderr": "err"}
    assert "job_error" not in json.loads(composer.result_of(Verdict(), output))


async def test_jobs_of_a_live_coordinator(tmp_path: Path) -> None:
    """One makes a file, one a directory, which is none; one cannot be read, and one fails."""
    data, stop = tmp_path / "worker", trio.Event()
    async with running(tmp_path / "data") as live, trio.open_nursery() as nursery:
        dialect = Dialect(live)
        config = WorkerConfig(coordinator=live.url, data=data, slots=1)
        await nursery.start(lambda task_status: composer.run(config, stop=stop, task_status=task_status))

        async def ended(script: str, state: str) -> tuple[Any, Any]:
            cmds = [{"exec": ["/bin/sh", "-ec", script], "environ": ["PATH=/usr/bin:/bin"]}]
            added = await dialect.add("terzetto", args={"cmds": cmds} if script else 1)
            with trio.fail_after(60):
                while (about := await dialect.about(added))["state"] != state:
                    await trio.sleep(0.05)
            return added, about

        added, _ = await ended("echo a > {{.OutputDir}}/'a b'; echo said", "succeeded")
        tar = await live.call("GET", f"/artifact?id={added['job']}")
        assert b"a b" in tar.body
        _, about = await ended("mkdir {{.OutputDir}}/below; echo x > {{.OutputDir}}/below/x", "failed")
        assert "below" in about["error"]
        _, about = await ended("", "failed")
        assert "not what the protocol says" in about["error"]
        _, about = await ended("exit 7", "failed")
        assert about["error"] == "job terzetto failed: exit status 7"
        stop.set()


async def test_a_cancelled_job_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as its worker asks; until then it tells what was printed."""
    monkeypatch.setattr(composer, "CHECK_SECONDS", 0.1)
    data, stop = tmp_path / "worker", trio.Event()
    async with running(tmp_path / "data") as live, trio.open_nursery() as nursery:
        dialect = Dialect(live)
        config = WorkerConfig(coordinator=live.url, data=data, slots=1)
        await nursery.start(lambda task_status: composer.run(config, stop=stop, task_status=task_status))
        cmds = [{"exec": ["/bin/sh", "-c", "echo began; sleep 600"], "environ": ["PATH=/usr/bin:/bin"]}]
        added = await dialect.add("terzetto", args={"cmds": cmds})
        stderr = f"/api/builds/{added['build']}/jobs/{added['job']}/output?stream=stderr"
        with trio.fail_after(60):
            while not (said := (await live.call("GET", stderr)).body):
                await trio.sleep(0.05)
            assert json.loads(said.splitlines()[0])["stdout"] == "began\n"
            await live.post(f"/api/builds/{added['build']}/cancel")
            after = await dialect.add("terzetto", args={"cmds": [{"exec": ["/bin/true"]}]})
            while (await dialect.about(after))["state"] != "succeeded":  # the slot is free again
                await trio.sleep(0.05)
        stop.set()
