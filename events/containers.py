"""What a container may ask for: judged once, before it is in the log, and the same for every way in."""

import math
import re
from collections.abc import Iterator

from events.catalog import Container

# The label of a worker that has a container engine: who wants a container needs it.
ENGINE = "engine=docker"
TEXT_MAX = 1024
PORTS_MAX = 64
RESTARTS_MAX = 100
# Beyond this a number is none in every reader's JSON.
INTEGER_MAX = 2**53
_PORT = re.compile(r"([0-9]{1,5})/(?:tcp|udp|sctp)\Z")


def problems_of(container: Container) -> Iterator[str]:
    """A sentence for each thing that is wrong with it."""
    if not 0 < len(container.image) <= TEXT_MAX or not container.image.isprintable():
        yield f"the image's name must have 1 to {TEXT_MAX} printable characters"
    if not (math.isfinite(container.cpu) and 0 <= container.cpu <= INTEGER_MAX):
        yield f"cpu must be a number of processors from 0 on, not {container.cpu}"
    for name, value in (("memory", container.memory), ("disk", container.disk)):
        if not 0 <= value <= INTEGER_MAX:
            yield f"{name} must be a number of bytes from 0 on, not {value}"
    if not 0 <= container.restarts <= RESTARTS_MAX:
        yield f"restarts must be from 0 to {RESTARTS_MAX}, not {container.restarts}"
    yield from _port_problems(container)
    if container.health and not (container.health.startswith("/") and container.health.isprintable()):
        yield f"the health check must be a path that begins with /, not {container.health[:80]!r}"


def _port_problems(container: Container) -> Iterator[str]:
    if len(container.ports) > PORTS_MAX:
        yield f"no more than {PORTS_MAX} ports can be exposed"
    for port in (*container.ports, *container.bindings):
        found = _PORT.match(port)
        if found is None or not 0 < int(found[1]) < 1 << 16:
            yield f"{port[:80]!r} is no port as in 80/tcp"
    for port, bound in container.bindings.items():
        if not (bound.isascii() and bound.isdigit() and len(bound) <= 5 and int(bound) < 1 << 16):
            yield f"{port[:80]!r} cannot be bound to {bound[:80]!r}, which is no port"
