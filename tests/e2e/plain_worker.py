"""A worker of plain distbuild, as others write them, with their habits and without our extensions.

python plain_worker.py COORDINATOR DIRECTORY. One slot, a tight loop, no heartbeat while a job runs,
RunningJobs null, a URL with a path for a name; any refusal ends it, and so does an artifact that is there
already. Uses nothing of ours.
"""

import base64
import io
import json
import re
import subprocess
import sys
import tarfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

VARIABLE = re.compile(r'{{\.(OutputDir|SourceDir)}}|{{index \.Deps "([0-9a-f]{40})"}}')

Spec = dict[str, Any]


class Artifacts(BaseHTTPRequestHandler):
    """GET /worker/0/artifact?id=ID answers a tar of that directory."""

    root: Path

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        directory = self.root / parse_qs(parts.query)["id"][0]
        if parts.path != "/worker/0/artifact" or not directory.is_dir():
            self.send_error(404)
            return
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for path in sorted(directory.rglob("*")):
                tar.add(path, str(path.relative_to(directory)), recursive=False)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(packed.getvalue())


class Worker:
    def __init__(self, coordinator: str, directory: Path) -> None:
        self.coordinator = coordinator
        self.artifacts = directory / "artifacts"
        self.work = directory / "work"
        self.artifacts.mkdir(parents=True)
        self.work.mkdir()
        handler = type("Handler", (Artifacts,), {"root": self.artifacts})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.id = f"http://127.0.0.1:{self.server.server_port}/worker/0"

    def loop(self) -> None:
        finished: list[Spec] = []
        added: list[str] = []
        while True:
            report = {
                "WorkerID": self.id,
                "RunningJobs": None,
                "FreeSlots": 1,
                "FinishedJob": finished or None,
                "AddedArtifacts": added or None,
            }
            sent = urllib.request.Request(f"{self.coordinator}/heartbeat", json.dumps(report).encode())
            with urllib.request.urlopen(sent) as response:
                jobs: dict[str, Spec] = json.load(response)["JobsToRun"] or {}
            finished, added = [], []
            for id_, spec in jobs.items():
                result = self.run(spec)
                finished.append(result)
                if result["Error"] is None:
                    added.append(id_)

    def run(self, spec: Spec) -> Spec:
        source, output = self.work / spec["ID"], self.artifacts / spec["ID"]
        source.mkdir()
        output.mkdir()
        for id_, path in (spec["SourceFiles"] or {}).items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            with urllib.request.urlopen(f"{self.coordinator}/file?id={id_}") as response:
                (source / path).write_bytes(response.read())
        for id_, holder in (spec["Artifacts"] or {}).items():
            if not (self.artifacts / id_).exists():
                self.fetch(id_, holder)
        stdout = stderr = b""
        code = 0
        for command in spec["Cmds"] or []:
            words = [self.render(word, source, output) for word in command["Exec"]]
            environ = dict(entry.split("=", 1) for entry in command["Environ"] or [])
            ended = subprocess.run(words, cwd=source, env=environ, capture_output=True, check=False)
            stdout, stderr, code = stdout + ended.stdout, stderr + ended.stderr, ended.returncode
            if code:
                break
        return {
            "ID": spec["ID"],
            "Stdout": base64.b64encode(stdout).decode() if stdout else None,
            "Stderr": base64.b64encode(stderr).decode() if stderr else None,
            "ExitCode": code,
            "Error": f"exit status {code}" if code else None,
        }

    def unpack(self, tar: tarfile.TarFile, directory: Path) -> None:
        """Directories and files, as distbuild's tarstream has them."""
        directory.mkdir()
        for member in tar:
            target = directory / member.name
            if member.isdir():
                target.mkdir()
                continue
            data = tar.extractfile(member)
            assert data is not None, member.name
            target.write_bytes(data.read())
            target.chmod(member.mode)

    def fetch(self, id_: str, holder: str) -> None:
        with urllib.request.urlopen(f"{holder}/artifact?id={id_}") as response:
            packed = io.BytesIO(response.read())
        with tarfile.open(fileobj=packed) as tar:
            for member in tar:
                assert member.isdir() or member.isfile(), member
            self.unpack(tar, self.artifacts / id_)

    def render(self, text: str, source: Path, output: Path) -> str:
        def one(match: re.Match[str]) -> str:
            if match[2]:
                return str(self.artifacts / match[2])
            return str(output if match[1] == "OutputDir" else source)

        return VARIABLE.sub(one, text)


def main(coordinator: str, directory: str) -> None:
    worker = Worker(coordinator, Path(directory))
    threading.Thread(target=worker.server.serve_forever, daemon=True).start()
    print(f"ready {worker.id}", flush=True)
    worker.loop()


if __name__ == "__main__":
    main(*sys.argv[1:])
