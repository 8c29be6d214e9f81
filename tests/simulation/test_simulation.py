"""Two hundred farms under faults, and those that once showed a bug."""

import os
import tomllib
from pathlib import Path

import pytest

from tests.simulation import sometimes
from tests.simulation.options import Options
from tests.simulation.runner import Summary, simulate, simulate_all

SEEDS = range(200)
FIXED = Path(__file__).parent.parent / "regressions" / "seeds.toml"


@pytest.fixture(scope="module")
def summary() -> Summary:
    """The other processor is busy if other tests run beside these."""
    processes = 1 if "PYTEST_XDIST_WORKER" in os.environ else min(2, os.cpu_count() or 1)
    return Summary.of(simulate_all(SEEDS, processes=processes))


def test_no_farm_does_what_it_must_never_do(summary: Summary) -> None:
    """Each failure here prints the line that reproduces it."""
    assert summary.seeds == len(SEEDS)
    assert not summary.red, "\n".join(line for result in summary.red for line in (result.error, result.again))


def test_everything_that_can_happen_happens_sometimes(summary: Summary) -> None:
    """Each fault, each way to recover, each reason and each refusal: what is not met is not tested."""
    assert sometimes.missing(summary.hits) == []


def regressions() -> list[dict[str, object]]:
    found = tomllib.loads(FIXED.read_text())["seed"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("seed", regressions(), ids=lambda seed: str(seed["what"]))
def test_what_was_fixed_stays_fixed(seed: dict[str, str]) -> None:
    """A seed alone means another farm tomorrow, so each stands with all its options."""
    result = simulate(Options.from_json(seed["options"]))
    assert not result.error, f"{result.story}\n{result.error}\n{result.again}"
