"""A coordinator of plain distbuild, as small as one can be, without our extensions.

python plain_coordinator.py. It serves below /coordinator, answers heartbeats at once, gives a job to
whichever worker has had the fewest, and writes the stream's values without anything between them.
Uses nothing of ours.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Value = dict[str, Any]

changed = threading.Condition()
files: dict[str, bytes] = {}
builds: dict[str, "Build"] = {}
given: dict[str, int] = {}
holders: dict[str, str] = {}


class Build:
    """One graph on its way; everything here is guarded by `changed`."""

    def __init__(self, graph: Value) -> None:
        self.id = f"{len(builds) + 1:040x}"
        self.sources: dict[str, str] = graph["SourceFiles"] or {}
        self.jobs: dict[str, Value] = {job["ID"]: job for job in graph["Jobs"] or []}
        self.is_uploaded = False
        self.leased: set[str] = set()
        self.updates: list[Value] = []
        self.succeeded: set[str] = set()

    def ready(self) -> list[Value]:
        open_jobs = [job for id_, job in self.jobs.items() if self.is_uploaded and id_ not in self.leased]
        return [job for job in open_jobs if self.succeeded.issuperset(job["Deps"] or [])]

    def spec(self, job: Value) -> Value:
        ids = {path: id_ for id_, path in self.sources.items()}
        return {
            **job,
            "SourceFiles": {ids[path]: path for path in job["Inputs"] or []},
            "Artifacts": {dep: holders[dep] for dep in job["Deps"] or []},
        }

    def finish(self, result: Value) -> None:
        self.updates.append({"JobFinished": result, "BuildFailed": None, "BuildFinished": None})
        if result["Error"] is not None:
            error = {"Error": f"job failed: {result['Error']}"}
            self.updates.append({"JobFinished": None, "BuildFailed": error, "BuildFinished": None})
            return
        self.succeeded.add(result["ID"])
        if len(self.succeeded) == len(self.jobs):
            self.updates.append({"JobFinished": None, "BuildFailed": None, "BuildFinished": {}})


class Coordinator(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        parts, sent = urlsplit(self.path), json.loads(self.body())
        if parts.path == "/coordinator/heartbeat":
            self.answer(json.dumps({"JobsToRun": beat(sent) or None}).encode())
        elif parts.path == "/coordinator/signal":
            with changed:
                builds[parse_qs(parts.query)["build_id"][0]].is_uploaded = True
            self.answer(b"{}")
        elif parts.path == "/coordinator/build":
            self.build(sent["Graph"])
        else:
            self.answer(b"no such address", 404)

    def do_PUT(self) -> None:
        with changed:
            files.setdefault(parse_qs(urlsplit(self.path).query)["id"][0], self.body())
        self.answer(b"")

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path != "/coordinator/file":
            self.answer(b"no such address", 404)
            return
        self.answer(files[parse_qs(parts.query)["id"][0]])

    def build(self, graph: Value) -> None:
        with changed:
            build = Build(graph)
            builds[build.id] = build
            missing = [id_ for id_ in build.sources if id_ not in files]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.chunk({"ID": build.id, "MissingFiles": missing or None})
        told = 0
        while True:
            with changed:
                while len(build.updates) <= told:
                    changed.wait()
                update = build.updates[told]
            self.chunk(update)
            told += 1
            if update["JobFinished"] is None:
                self.wfile.write(b"0\r\n\r\n")
                return

    def chunk(self, value: Value) -> None:
        data = json.dumps(value).encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def answer(self, data: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def beat(sent: Value) -> Value:
    """Take what has ended; one job for each free slot, as long as no other worker has had fewer."""
    worker = sent["WorkerID"]
    with changed:
        given.setdefault(worker, 0)
        for id_ in sent["AddedArtifacts"] or []:
            holders[id_] = worker
        for result in sent["FinishedJob"] or []:
            for build in builds.values():
                if result["ID"] in build.leased - build.succeeded:
                    build.finish(result)
        changed.notify_all()
        jobs: Value = {}
        for build in builds.values():
            for job in build.ready():
                if len(jobs) < sent["FreeSlots"] and given[worker] == min(given.values()):
                    given[worker] += 1
                    build.leased.add(job["ID"])
                    jobs[job["ID"]] = build.spec(job)
        return jobs


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Coordinator)
    print(f"ready http://127.0.0.1:{server.server_port}/coordinator", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
