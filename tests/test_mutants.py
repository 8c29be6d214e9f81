"""What `make mutants` takes away is there to be taken, and so are the tests that ought to miss it."""

from pathlib import Path

import pytest

from tests.mutants.__main__ import apply
from tests.mutants.catalog import MUTANTS, REST, Mutant

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: str(mutant.gone))
def test_it_can_be_taken_away(mutant: Mutant) -> None:
    """At exactly one place, and what is left is another program."""
    text = (ROOT / mutant.file).read_text()
    changed = apply(mutant, text)
    assert changed != text
    compile(changed, mutant.file, "exec")
    for test in (*mutant.tests, *REST):
        assert (ROOT / test.partition("::")[0]).exists()


def test_each_is_taken_away_once() -> None:
    assert (
        len({mutant.gone for mutant in MUTANTS})
        == len({(m.file, m.old, m.new) for m in MUTANTS})
        == len(MUTANTS)
    )
