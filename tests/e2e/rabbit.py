"""A real RabbitMQ for tests: a node of its own, with its own name, ports, files and name server."""

import socket
from contextlib import closing, suppress
from pathlib import Path

import pika
import pytest
import trio
from pika.exceptions import AMQPError

from tests.e2e.processes import SECONDS, Process, until

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
EPMD = Path("/usr/bin/epmd")
# A node needs some seconds to itself before it serves.
START_SECONDS = 2 * SECONDS

needs_rabbit = pytest.mark.skipif(not (SERVER.exists() and EPMD.exists()), reason="there is no RabbitMQ here")


class Rabbit:
    """A broker that is killed and started again as a test likes; what it keeps is below `directory`."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._port, distribution, names = (_free_port() for _ in range(3))
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}/%2f"
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(directory), "LANG": "C.UTF-8"}
        environ |= {"ERL_EPMD_PORT": str(names), "ERL_EPMD_ADDRESS": "127.0.0.1"}
        self._names = Process("epmd", [EPMD, "-debug"], directory, environ)
        directory.joinpath("plugins").write_text("[].\n")
        environ |= {
            "RABBITMQ_NODENAME": f"terzetto-{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "none"),
            "RABBITMQ_CONFIG_FILE": str(directory / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
        }
        self._node = Process("rabbitmq", [SERVER], directory, environ)

    async def ready(self) -> None:
        """Return once it takes messages."""

        async def look() -> bool:
            assert self._node.exit_code is None, self._node.tell()
            return await trio.to_thread.run_sync(self._answers)

        await until("RabbitMQ serves", look, seconds=START_SECONDS)

    def kill(self) -> None:
        """No time to put anything in order."""
        self._node.end()

    async def revive(self) -> None:
        self._node.revive()
        await self.ready()

    def end(self) -> None:
        self._node.end()
        self._names.end()

    def tell(self) -> str:
        return self._node.tell()

    def _answers(self) -> bool:
        with suppress(AMQPError, OSError), closing(pika.BlockingConnection(pika.URLParameters(self.url))):
            return True
        return False


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        port: int = found.getsockname()[1]
        return port
