"""Starting builds on a coordinator under load, and waiting for their end."""

import time
from contextlib import suppress
from http.client import HTTPConnection
from urllib.parse import urlsplit

import msgspec

from tests.bench.plain_http import Connection

POLL_SECONDS = 0.02


def start(url: str, graph: object) -> str:
    """Start a build and say that its upload is done; returns its id."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=120)
    connection.request("POST", "/build?on_disconnect=continue", msgspec.json.encode(graph))
    answer = connection.getresponse()
    line = answer.readline()
    assert answer.status == 200, line
    build: str = msgspec.json.decode(line)["ID"]
    connection.close()
    told = Connection(url)
    told.post(f"/signal?build_id={build}", {"UploadDone": {}})
    told.close()
    return build


def state(url: str, build: str) -> str:
    """The build's state, from the list that is cheap to ask for."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("GET", "/api/builds?limit=50")
    found = msgspec.json.decode(connection.getresponse().read())["builds"]
    connection.close()
    return str(next(each["state"] for each in found if each["id"] == build))


def wait(url: str, build: str) -> None:
    """Return when the build has succeeded."""
    while (now := state(url, build)) in ("uploading", "running"):
        time.sleep(POLL_SECONDS)
    assert now == "succeeded", now


def stop(*processes: object) -> None:
    """End simulated workers."""
    for each in processes:
        with suppress(ProcessLookupError):
            each.kill()  # type: ignore[attr-defined]  # a Popen
            each.wait()  # type: ignore[attr-defined]
