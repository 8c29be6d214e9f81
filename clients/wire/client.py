"""HTTP/1.1 over any trio stream, so that a cancelled request costs one connection and never the pool.

The pool is a stack of idle connections. A connection is either in that stack or owned by exactly one
exchange, which closes it on every way out but one: request and answer have both ended cleanly.
"""

import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, Self
from urllib.parse import urlsplit

import h11
import structlog
import trio
from attrs import frozen

from clients.wire.connection import Body, Connection, Ended, Headers
from clients.wire.response import ANSWER_BYTES_MAX, Reply, Response, Unreachable

OpenStream = Callable[[str, int], Awaitable[trio.abc.Stream]]

IDLE_MAX = 16
# A lease's id entitles its holder to report; a log line shows just enough of it to tell it apart.
_SECRET = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{24}\b")

log = structlog.get_logger()


@frozen(kw_only=True)
class Origin:
    """Where a base URL leads: `prefix` is the path before every target, without a last slash."""

    scheme: str
    host: str
    port: int
    authority: str
    prefix: str

    @classmethod
    def of(cls, base_url: str) -> Self:
        """Raises ValueError unless it is a plain http or https URL."""
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an http:// or https:// URL: {base_url!r}")
        if parts.query or parts.fragment or parts.username is not None:
            raise ValueError(f"a base URL has neither user, query nor fragment: {base_url!r}")
        return cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=parts.port or (443 if parts.scheme == "https" else 80),
            authority=parts.netloc,
            prefix=parts.path.rstrip("/"),
        )


class Client:
    """Requests to one server. `open_stream(host, port)` raises OSError where there is no connection."""

    def __init__(
        self,
        base_url: str,
        *,
        open_stream: OpenStream = trio.open_tcp_stream,
        connections_max: int = 100,
        connect_seconds: float = 5.0,
        headers: Iterable[tuple[str, str]] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._origin = Origin.of(self.base_url)
        self._open_stream = open_stream
        self._connect_seconds = connect_seconds
        self._headers = [("host", self._origin.authority), *headers]
        self._tls = (tls or ssl.create_default_context()) if self._origin.scheme == "https" else None
        self._idle: list[Connection] = []
        self._slots = trio.Semaphore(connections_max)
        self._is_closed = False

    @contextlib.asynccontextmanager
    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: Body = b"",
        timeout_seconds: float,
    ) -> AsyncIterator[Response]:
        """Send a request; yields the answer once its head is there, within `timeout_seconds`.

        A body of bytes may be sent twice, when a connection that was kept turns out to be dead before
        anything came back: a request that must not happen twice needs an idempotency key. A streamed
        body is sent once, over a new connection, with a content-length if `headers` has one. Raises
        `Unreachable`, `BodyLengthChanged`, or what the body's iterator raises.
        """
        connection: Connection | None = None
        try:
            with self._told(method, target) as note, self._within(timeout_seconds):
                request = (method, self._origin.prefix + target, self._framed(headers, body), body)
                connection, head = await self._exchange(request)
                note["status"] = head.status_code
            yield Response(self.base_url, connection, head)
        finally:
            if connection is not None:
                await self._put_back(connection)

    async def call(
        self,
        method: str,
        target: str,
        *,
        body: Body = b"",
        headers: Iterable[tuple[str, str]] = (),
        timeout_seconds: float,
        bytes_max: int = ANSWER_BYTES_MAX,
    ) -> Reply:
        """A whole exchange within `timeout_seconds`. Raises as `request` does, and `TooLarge`."""
        with self._within(timeout_seconds):
            async with self.request(
                method, target, headers=headers, body=body, timeout_seconds=timeout_seconds
            ) as response:
                content = await response.read(bytes_max)
        return Reply(status=response.status, headers=response.headers, body=content)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what is idle now, and what is at work when its exchange ends."""
        self._is_closed = True
        while self._idle:
            await self._idle.pop().aclose()

    @contextlib.contextmanager
    def _within(self, timeout_seconds: float) -> Iterator[None]:
        with trio.move_on_after(timeout_seconds) as scope:
            yield
        if scope.cancelled_caught:
            raise Unreachable(f"{self.base_url} did not answer within {timeout_seconds:g} s")

    @contextlib.contextmanager
    def _told(self, method: str, target: str) -> Iterator[dict[str, Any]]:
        """One log line per request, whatever became of it."""
        began = trio.current_time()
        note: dict[str, Any] = {"error": "cancelled"}
        try:
            yield note
            del note["error"]
        except Exception as error:
            note["error"] = str(error)
            raise
        finally:
            shown = _SECRET.sub(r"\1…", target)
            say = log.debug if note.get("error", "cancelled") == "cancelled" else log.info
            seconds = round(trio.current_time() - began, 4)
            say("request sent", peer=self.base_url, method=method, target=shown, seconds=seconds, **note)

    def _framed(self, headers: Iterable[tuple[str, str]], body: Body) -> Headers:
        framed = [*self._headers, *headers]
        if isinstance(body, bytes):
            return [*framed, ("content-length", str(len(body)))]
        if any(name.lower() == "content-length" for name, _ in framed):
            return framed
        return [*framed, ("transfer-encoding", "chunked")]

    async def _exchange(self, request: tuple[str, str, Headers, Body]) -> tuple[Connection, h11.Response]:
        may_reuse = isinstance(request[-1], bytes)
        await self._slots.acquire()
        try:
            while True:
                is_fresh = not (may_reuse and self._idle)
                connection = await self._open() if is_fresh else self._idle.pop()
                try:
                    return connection, await connection.exchange(*request)
                except Ended as error:
                    await connection.aclose()
                    if is_fresh or connection.was_answered:
                        raise Unreachable(f"{self.base_url}: {error}") from error
                except BaseException:
                    await connection.aclose()
                    raise
        except BaseException:
            self._slots.release()
            raise

    async def _open(self) -> Connection:
        try:
            with trio.fail_after(self._connect_seconds):
                stream = await self._open_stream(self._origin.host, self._origin.port)
                return Connection(stream if self._tls is None else await self._secure(stream, self._tls))
        except trio.TooSlowError:
            message = f"{self.base_url} took no connection within {self._connect_seconds:g} s"
            raise Unreachable(message) from None
        except OSError as error:
            raise Unreachable(f"{self.base_url} takes no connection: {error}") from error

    async def _secure(self, stream: trio.abc.Stream, tls: ssl.SSLContext) -> trio.abc.Stream:
        secure = trio.SSLStream(stream, tls, server_hostname=self._origin.host, https_compatible=True)
        try:
            await secure.do_handshake()
        except BaseException as error:
            await Connection(stream).aclose()
            if isinstance(error, trio.BrokenResourceError):
                raise Unreachable(f"{self.base_url} agrees on no TLS: {error.__cause__}") from error
            raise
        return secure

    async def _put_back(self, connection: Connection) -> None:
        try:
            if not self._is_closed and len(self._idle) < IDLE_MAX and connection.renew():
                self._idle.append(connection)
            else:
                await connection.aclose()
        finally:
            self._slots.release()
