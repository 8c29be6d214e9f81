"""Starting builds on a coordinator under load, and waiting for their end."""

from contextlib import suppress
from http.client import HTTPConnection
from urllib.parse import urlsplit

import msgspec

from tests.bench.plain_http import Connection


def start(url: str, graph: object) -> str:
    """Start a build and say that its upload is done; returns its id."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=120)
    connection.request("POST", f"{parts.path}/build?on_disconnect=continue", msgspec.json.encode(graph))
    answer = connection.getresponse()
    line = answer.readline()
    assert answer.status == 200, line
    build: str = msgspec.json.decode(line)["ID"]
    connection.close()
    told = Connection(url)
    told.post(f"{parts.path}/signal?build_id={build}", {"UploadDone": {}})
    told.close()
    return build


def wait(url: str, build: str) -> None:
    """Return when the build has succeeded; costs the coordinator next to nothing."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=300)
    connection.request("GET", "/api/events?type=BuildSucceeded&type=BuildFailed&type=BuildCancelled")
    answer = connection.getresponse()
    while record := msgspec.json.decode(answer.readline()):
        if record.get("build") == build:
            assert record["type"] == "BuildSucceeded", record
            break
    connection.close()


def stop(*processes: object) -> None:
    """End simulated workers."""
    for each in processes:
        with suppress(ProcessLookupError):
            each.kill()  # type: ignore[attr-defined]  # a Popen
            each.wait()  # type: ignore[attr-defined]
