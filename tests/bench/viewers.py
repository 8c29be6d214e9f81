"""Very many viewers in one process: raw sockets, and the time at which each record reached them.

    python -m tests.bench.viewers URL TARGET CARRIER COUNT

Prints `ready` when all are connected; at the end of its input what they saw since, as a JSON object.
"""

import json
import os
import re
import resource
import select
import socket
import sys
import time
from urllib.parse import urlsplit

AT = re.compile(rb'"at":([0-9.]+)')
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
PING, PONG = b"\x89\x00", b"\x8a\x80\x00\x00\x00\x00"
RECEIVE_BYTES = 1 << 18


class Crowd:
    """The viewers of one target, and what they have heard."""

    def __init__(self, url: str, target: str, carrier: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        more = UPGRADE if carrier == "websocket" else ""
        self._request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n{more}\r\n".encode()
        self._viewers: dict[int, socket.socket] = {}
        self._poll = select.epoll()
        self._poll.register(sys.stdin.fileno(), select.EPOLLIN)
        self.forget()

    def forget(self) -> None:
        """From now on, what is heard counts."""
        self.messages, self.delays = 0, list[float]()

    def join(self) -> None:
        """One more, who has been let in on return."""
        viewer = socket.create_connection(self._address, timeout=60)
        viewer.sendall(self._request)
        head = viewer.recv(RECEIVE_BYTES)
        viewer.sendall(PONG if PING in head else b"")
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 101")), head
        self._viewers[viewer.fileno()] = viewer
        self._poll.register(viewer, select.EPOLLIN)

    def hear(self, seconds: float | None) -> bool:
        """Take what arrives within some time; False at the end of our input."""
        for number, _ in self._poll.poll(seconds):
            if number == sys.stdin.fileno():
                return False
            data, now = self._viewers[number].recv(RECEIVE_BYTES), time.time()
            assert data, "the coordinator dropped a viewer"
            if PING in data:  # as no text can be
                self._viewers[number].sendall(PONG)
            self.messages += 1
            self.delays += [now - float(at) for at in AT.findall(data)]
        return True


def main(url: str, target: str, carrier: str, count: str) -> None:
    crowd = Crowd(url, target, carrier)
    for number in range(int(count)):
        crowd.join()
        if number % 50 == 0:
            crowd.hear(0)
    crowd.forget()
    print("ready", flush=True)
    while crowd.hear(None):
        pass
    print(json.dumps({"messages": crowd.messages, "delays": crowd.delays}), flush=True)
    os._exit(0)  # rather than close some thousand sockets one by one


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    main(*sys.argv[1:])
