"""The same seed is the same run, to the order of every step: else a red seed could not be looked into."""

import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from tests.simulation.options import FAULTS, Options
from tests.simulation.runner import simulate

ROOT = Path(__file__).parent.parent.parent
# With every fault that there is, and no two builds alike.
EVERYTHING = attrs.evolve(Options.of(11), faults=FAULTS, builds=3, workers=3, bad_jobs=0.05)


def digest_elsewhere(options: Options, hash_seed: str) -> str:
    """The digest of a run in a process of its own, whose sets of strings are in another order."""
    command = [sys.executable, "-m", "tests.simulation", "--digest", "--seed", str(options.seed)]
    ran = subprocess.run(
        [*command, "--options", options.to_json()],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
        text=True,
    )
    return ran.stdout.strip()


@pytest.mark.parametrize("options", [Options.of(3), EVERYTHING], ids=["as drawn", "every fault"])
def test_a_seed_is_the_same_run_in_every_process(options: Options) -> None:
    """Which task ran when, and every byte of the log."""
    assert digest_elsewhere(options, "1") == digest_elsewhere(options, "2")


def test_another_seed_is_another_run() -> None:
    """Else the digest would say nothing."""
    results = [simulate(Options.of(seed), traced=True) for seed in (3, 3, 4)]
    assert results[0].digest == results[1].digest != results[2].digest


def test_options_survive_being_written_down() -> None:
    """The line that reproduces a seed says all of it."""
    assert Options.from_json(EVERYTHING.to_json()) == EVERYTHING
