"""What an operator decides about a worker."""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from attrs import field, frozen, validators

from workers.engine import socket_path

CACHE_BYTES_MAX = 20 << 30


def usable_cpus() -> int:
    """CPUs that this process may run on, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0))


def _absolute(path: Path) -> Path:
    return path.absolute()


@frozen(kw_only=True)
class WorkerConfig:
    """`coordinator` is a base URL, `bind` is HOST:PORT, `data` everything that the worker keeps.

    `advertise` is the URL at which others reach this worker, and in distbuild its name; an `id` that is
    a URL stands for it, any other is shown as the label `name`. `engine`: the container engine whose socket
    that is, as unix:///path.
    """

    coordinator: str
    # Absolute, because jobs run in other directories and are told where theirs are.
    data: Path = field(converter=_absolute)
    bind: str = "127.0.0.1:0"
    advertise: str | None = None
    slots: int = field(factory=usable_cpus, validator=validators.ge(1))
    id: str | None = None
    labels: dict[str, str] = field(factory=dict)
    cache_bytes_max: int = field(default=CACHE_BYTES_MAX, validator=validators.ge(0))
    token: str | None = field(default=None, repr=False)
    engine: str | None = field(default=None)

    @engine.validator
    def _check_engine(self, _attribute: object, value: str | None) -> None:
        if value is not None:
            socket_path(value)

    @property
    def all_labels(self) -> dict[str, str]:
        return {**self.labels, **({"name": self.id} if self.id and not _is_url(self.id) else {})}

    @property
    def base_path(self) -> str:
        """The path in the worker's URL, below which others will look for artifacts."""
        return urlsplit(self._chosen_url or "").path.strip("/")

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What the coordinator wants to see with every request."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    @property
    def _chosen_url(self) -> str | None:
        return self.advertise or (self.id if self.id and _is_url(self.id) else None)

    def url(self, bound: str) -> str:
        """How others reach a server that is bound at the URL `bound`. Raises OSError."""
        if self._chosen_url is not None:
            return self._chosen_url.rstrip("/")
        parts = urlsplit(bound)
        if parts.hostname not in ("0.0.0.0", "::"):  # noqa: S104, compared with, not bound to
            return bound
        own = _own_address(self.coordinator)
        return f"http://[{own}]:{parts.port}" if ":" in own else f"http://{own}:{parts.port}"


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _own_address(coordinator: str) -> str:
    """The address that this machine uses towards the coordinator; nothing is sent."""
    parts = urlsplit(coordinator)
    family, kind, protocol, _, address = socket.getaddrinfo(
        parts.hostname, parts.port or 80, type=socket.SOCK_DGRAM
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0])
