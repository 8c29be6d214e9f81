"""A network of named hosts over memory, with every fault that a network has.

Bytes travel in pieces that arrive in order, each at a time of its own. What a blocked link holds back arrives
when it is open again, as with TCP; a connection that is cut tells both ends, one that is lost tells nobody.
"""

import errno
import random
import socket
from collections import Counter, deque
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Any

import trio
from attrs import Factory, define

BUFFER_BYTES = 256 << 10
PORT = 80


@define
class Weather:
    """How bad it is now: probabilities for each piece of bytes sent, times in seconds."""

    latency: float = 0.0
    delay: float = 0.0
    delay_seconds: float = 5.0
    lose_request: float = 0.0
    lose_answer: float = 0.0
    half_cut: float = 0.0
    duplicate: float = 0.0
    slicing: float = 0.0


@define(eq=False)
class Net:
    """Who listens where, which links are blocked, what is under way."""

    chance: random.Random
    nursery: trio.Nursery
    weather: Weather = Factory(Weather)
    injected: Counter[str] = Factory(Counter)
    # Sees all that leaves a listening host, before it can have arrived anywhere.
    on_answer: Callable[[str, bytes], None] = lambda _host, _data: None
    _listeners: dict[str, "Listener"] = Factory(dict)
    _blocked: dict[tuple[str, str], None] = Factory(dict)
    _wires: dict["Wire", None] = Factory(dict)
    _unblocked: trio.Event = Factory(trio.Event)
    _context: Context = Factory(copy_context)

    async def listen(self, host: str, _bind: str) -> list[Any]:
        """The `Listen` of a host."""
        await trio.lowlevel.checkpoint()
        if host in self._listeners:
            raise OSError(errno.EADDRINUSE, f"{host} listens already")
        listener = self._listeners[host] = Listener(self, host)
        return [listener]

    async def connect(self, source: str, host: str, _port: int = PORT) -> trio.abc.Stream:
        """A connection from `source` to whoever listens at `host`. Raises OSError."""
        await trio.sleep(self.latency())
        while self.is_blocked(source, host) or self.is_blocked(host, source):
            await self._unblocked.wait()  # whoever connects bounds it
        listener = self._listeners.get(host)
        if listener is None:
            raise OSError(errno.ECONNREFUSED, f"{host} does not listen")
        wire = Wire(self, source, host)
        self._wires[wire] = None
        listener.take(wire.ends[1])
        return wire.ends[0]

    def latency(self) -> float:
        weather = self.weather
        seconds = self.chance.expovariate(1 / weather.latency) if weather.latency else 0.0
        if weather.delay and self.chance.random() < weather.delay:
            self.injected["delay"] += 1
            seconds += self.chance.uniform(0, weather.delay_seconds)
        return seconds

    def is_blocked(self, source: str, host: str) -> bool:
        return (source, host) in self._blocked

    def block(self, source: str, host: str) -> None:
        """Nothing gets from `source` to `host`."""
        self._blocked[source, host] = None

    def unblock(self, source: str, host: str) -> None:
        if self._blocked.pop((source, host), 0) is None:
            self._unblocked.set()
            self._unblocked = trio.Event()
            self._stir()

    def heal(self) -> None:
        """Every fault ends; what was lost without a word is noticed now."""
        self.weather = Weather(latency=self.weather.latency)
        for source, host in list(self._blocked):
            self.unblock(source, host)
        for wire in list(self._wires):
            if any(direction.is_lost for direction in wire.directions):
                wire.reset()

    def cut(self, chosen: Callable[["Wire"], bool]) -> int:
        """Cut every connection that is chosen."""
        cut = [wire for wire in self._wires if chosen(wire)]
        for wire in cut:
            wire.reset()
        return len(cut)

    def sever(self, host: str, *, silently: bool = False) -> None:
        """The host is dead: its connections are no more, which its peers learn unless it fell silent."""
        self._listeners.pop(host, None)
        for wire in list(self._wires):
            if host in wire.hosts:
                wire.die(host, silently=silently)

    def stop_listening(self, listener: "Listener") -> None:
        if self._listeners.get(listener.host) is listener:
            del self._listeners[listener.host]

    def forget(self, wire: "Wire") -> None:
        self._wires.pop(wire, None)

    def repeat(self, source: str, host: str, request: bytes) -> None:
        """Somebody between them sends the request once more, and keeps the answer to himself."""
        self.injected["duplicate"] += 1
        # Not a task of the host whose request it is.
        self._context.run(self.nursery.start_soon, self._repeat, source, host, request)

    async def _repeat(self, source: str, host: str, request: bytes) -> None:
        await trio.sleep(self.chance.choice([0.0, 0.1, 3.0]) * self.chance.random())
        with trio.move_on_after(10):
            try:
                stream = await self.connect(source, host)
                async with stream:
                    await stream.send_all(request)
                    await stream.receive_some(1 << 16)
            except (OSError, trio.BrokenResourceError):
                pass

    def _stir(self) -> None:
        for wire in self._wires:
            for direction in wire.directions:
                direction.stir()


class Listener(trio.abc.Listener[Any]):
    """Where a host accepts connections; they queue while it is frozen."""

    def __init__(self, net: Net, host: str) -> None:
        self.host = host
        self.socket = Name(host, "")
        self._net = net
        self._send, self._receive = trio.open_memory_channel[End](1 << 10)

    def take(self, end: "End") -> None:
        self._send.send_nowait(end)

    async def accept(self) -> "End":
        try:
            return await self._receive.receive()
        except trio.EndOfChannel as error:
            raise trio.ClosedResourceError from error

    async def aclose(self) -> None:
        self._net.stop_listening(self)
        self._send.close()
        await trio.lowlevel.checkpoint()


@define
class Name:
    """The part of a socket that tells who is who."""

    host: str
    peer: str
    shutdown_write: Callable[[], None] = lambda: None

    def getsockname(self) -> tuple[str, int]:
        return self.host, PORT

    def getpeername(self) -> tuple[str, int]:
        return self.peer, PORT

    def shutdown(self, how: int) -> None:
        assert how == socket.SHUT_WR
        self.shutdown_write()


@define(eq=False)
class Direction:
    """Half a connection: pieces with the times of their arrival; None is its end."""

    net: Net
    source: str
    host: str
    pieces: deque[tuple[float, bytes | None]] = Factory(deque)
    size: int = 0
    # Broken: the reader is told as soon as it has read what came before. Lost: nothing comes any more.
    is_broken: bool = False
    is_lost: bool = False
    has_ended: bool = False
    _changed: trio.Event = Factory(trio.Event)

    def stir(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def put(self, data: bytes | None) -> None:
        if data == b"" or self.is_lost or self.is_broken or self.has_ended:
            return
        arrives_at = trio.current_time() + self.net.latency()
        if self.pieces:
            arrives_at = max(arrives_at, self.pieces[-1][0])
        self.pieces.append((arrives_at, data))
        self.has_ended = data is None
        self.size += len(data or b"")
        self.stir()

    async def take(self, bytes_max: int) -> bytes:
        while True:
            if self.net.is_blocked(self.source, self.host) or not (self.pieces or self.is_broken):
                await self._changed.wait()
            elif not self.pieces:
                raise trio.BrokenResourceError("reset")
            elif (arrives_at := self.pieces[0][0]) <= trio.current_time():
                return self._pop(bytes_max)
            else:
                with trio.move_on_at(arrives_at):
                    await self._changed.wait()

    def _pop(self, bytes_max: int) -> bytes:
        arrives_at, data = self.pieces[0]
        if data is None:
            return b""  # and again at the next call
        self.pieces.popleft()
        slicing = self.net.weather.slicing
        if slicing and len(data) > 1 and self.net.chance.random() < slicing:
            self.net.injected["slicing"] += 1
            bytes_max = min(bytes_max, self.net.chance.randrange(1, len(data)))
        if len(data) > bytes_max:
            data, rest = data[:bytes_max], data[bytes_max:]
            self.pieces.appendleft((arrives_at, rest))
        self.size -= len(data)
        self.stir()
        return data

    async def has_room(self) -> None:
        while self.size > BUFFER_BYTES and not (self.is_broken or self.is_lost):
            await self._changed.wait()  # the sender bounds it


class Wire:
    """One connection: its two directions and its two ends."""

    def __init__(self, net: Net, source: str, host: str) -> None:
        self.net = net
        self.hosts = (source, host)
        there, back = Direction(net, source, host), Direction(net, host, source)
        self.directions = (there, back)
        self._open = 2
        self.ends = (End(self, there, back, is_server=False), End(self, back, there, is_server=True))

    def reset(self) -> None:
        """Both ends are told, at once."""
        for direction in self.directions:
            direction.pieces.clear()
            direction.is_broken = True
            direction.stir()
        self.net.forget(self)

    def has_closed(self) -> None:
        """One end is closed."""
        self._open -= 1
        if not self._open:
            self.net.forget(self)

    def die(self, host: str, *, silently: bool) -> None:
        for end, hears, says in zip(self.ends, reversed(self.directions), self.directions, strict=True):
            if host != says.source:
                continue
            end.is_dead = True
            hears.pieces.clear()
            hears.is_broken = True
            hears.stir()
            if silently:
                says.is_lost = hears.is_lost = True
            else:
                says.is_broken = True
            says.stir()
        if not silently:
            self.net.forget(self)


class End(trio.abc.HalfCloseableStream):
    """One end of a connection, as a trio stream and with what the server asks of a socket."""

    def __init__(self, wire: Wire, says: Direction, hears: Direction, *, is_server: bool) -> None:
        self.socket = Name(says.source, says.host, partial(says.put, None))
        self.is_dead = False
        self._wire = wire
        self._says = says
        self._hears = hears
        self._is_server = is_server
        self._is_closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self._check()
        await self._says.has_room()
        self._check()
        if self._says.is_broken:
            raise trio.BrokenResourceError("reset")
        data = bytes(data)
        net = self._wire.net
        if self._is_server:
            net.on_answer(self._says.source, data)
        if not self._meets_its_fate(net, data):
            self._says.put(data)

    def _meets_its_fate(self, net: Net, data: bytes) -> bool:
        weather, chance = net.weather, net.chance
        cut, name = (
            (weather.lose_answer, "lose_answer")
            if self._is_server
            else (weather.lose_request, "lose_request")
        )
        if cut and chance.random() < cut:
            net.injected[name] += 1
            self._wire.reset()
            return True
        if weather.half_cut and chance.random() < weather.half_cut:
            net.injected["half_cut"] += 1
            self._says.is_lost = True
            self._says.stir()
        if (
            weather.duplicate
            and not self._is_server
            and data.startswith((b"POST", b"PUT"))
            and chance.random() < weather.duplicate
        ):
            net.repeat(self._says.source, self._says.host, data)
        return False

    async def wait_send_all_might_not_block(self) -> None:
        await self._says.has_room()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        self._check()
        return await self._hears.take(max_bytes or 1 << 16)

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()
        self._says.put(None)

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._says.put(None)
            # Whoever still writes to us is told, as the kernel does.
            self._hears.pieces.clear()
            self._hears.is_broken = True
            self._hears.stir()
            self._wire.has_closed()
        await trio.lowlevel.checkpoint()

    def _check(self) -> None:
        if self._is_closed or self.is_dead:
            raise trio.ClosedResourceError
