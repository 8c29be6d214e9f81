"""Tells the coordinator where a container runs, so that others can reach what it serves."""

import random
from functools import partial

import structlog

from clients import backoff, codec, wire
from clients.distbuild import ContainerReport
from workers.containers import Started

log = structlog.get_logger()

TELL_SECONDS = 10.0


async def tell(client: wire.Client, chance: random.Random, started: Started) -> None:
    """Tries for as long as it is not cancelled; one that does not want to know is not asked twice."""
    body = codec.write(ContainerReport(container=started.id, ports=started.ports))
    attempt = partial(_tell_once, client, f"/api/leases/{started.lease}/container", body)
    try:
        await backoff.persist(
            attempt, chance=chance, seconds=float("inf"), transient=backoff.TRANSIENT_UNDER_WAY
        )
    except wire.Refused as refusal:
        log.info("where the container runs is of no interest", lease=started.lease[:8], error=str(refusal))


async def _tell_once(client: wire.Client, target: str, body: bytes) -> None:
    (await client.call("POST", target, body=body, timeout_seconds=TELL_SECONDS)).raise_for_status()
