"""The served document holds: schemathesis makes requests from it, right and wrong, and judges the answers."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from tests.coordinator.http.composer import BASE, Dialect
from tests.coordinator.live import running

EXAMPLES = 15
# The document calls UUIDs texts, what it requires may be missing, and nothing is asked of who reads errors.
LENIENT = [positive_data_acceptance, negative_data_rejection, ignored_auth]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
async def test_every_operation_keeps_its_word(tmp_path: Path, mode: GenerationMode) -> None:
    """Against a live coordinator with jobs to give, and with tokens that it gave."""
    async with running(tmp_path, composer_request_seconds=0.01) as live:
        dialect = Dialect(live)
        tokens = []
        for _ in range(4):
            await dialect.add("string")
            tokens.append((await dialect.take("string")).token)
        worker = (await dialect.post("/workers", {"arch": "x"}))["worker_id"]
        known = {"token": tokens, "worker_id": [worker], "id": ["5"]}
        seen = await trio.to_thread.run_sync(partial(_check, f"{live.url}{BASE}", mode, known))
        assert (await live.get("/readyz"))["status"] == "ok"
    statuses = {status for _, status in seen}
    operations = {operation for operation, _ in seen}
    assert statuses <= {200, 201, 204, 400, 404, 405, 415}, seen
    # All but the document itself; what takes neither parameters nor a body cannot be asked wrongly.
    assert len(operations) >= (8 if mode is GenerationMode.POSITIVE else 5), sorted(operations)


def _check(url: str, mode: GenerationMode, known: dict[str, list[str]]) -> set[tuple[str, int]]:
    seen: set[tuple[str, int]] = set()
    schema = schemathesis.openapi.from_url(f"{url}/openapi")
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        try:
            _try(operation.as_strategy(generation_mode=mode), operation.label, known, seen)
        except Unsatisfiable:  # there is nothing about it that could be wrong
            assert mode is GenerationMode.NEGATIVE
    return seen


def _try(cases: Any, label: str, known: dict[str, list[str]], seen: set[tuple[str, int]]) -> None:
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def one(case: Any) -> None:
        for name in known.keys() & case.path_parameters.keys():
            if len(seen) % 2:  # now and then one that there is
                case.path_parameters[name] = known[name][len(seen) % len(known[name])]
        response = case.call(timeout=30)
        seen.add((label, response.status_code))
        case.validate_response(response, excluded_checks=LENIENT)

    one()
