"""A fork is the same state, and neither of the two sees what becomes of the other."""

from pathlib import Path

import pytest

from events.codec import decode
from events.digest import digest
from events.fold import fold, replay
from events.hindsight.fork import fork
from tests.golden.scenarios import HERE

LOGS = sorted(HERE.glob("*.jsonl"))


@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
def test_a_fork_goes_its_own_way(path: Path) -> None:
    """From any position of any golden log, to the same end."""
    records = [decode(line) for line in path.read_bytes().splitlines()]
    end = digest(replay(records))
    for count in range(len(records)):
        state = replay(records[:count])
        before, forked = digest(state), fork(state)
        assert digest(forked) == before
        for record in records[count:]:
            fold(forked, record)
        assert (digest(state), digest(forked)) == (before, end)
