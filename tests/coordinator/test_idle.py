"""A farm that does nothing costs next to nothing, day after day."""

from pathlib import Path

import pytest

from coordinator.config import CoordinatorConfig
from events import segments
from tests.bench.idle import idle

MINUTES = 30
SEGMENT_BYTES = 1 << 18
DAY_SECONDS = 86_400


def test_an_idle_day_is_less_than_100_megabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand workers: what is archived of a day, and a log that grows no more than it is told."""
    monkeypatch.setattr(segments, "BYTES_MAX", SEGMENT_BYTES)
    config = CoordinatorConfig(data=tmp_path, fresh_megabytes=1)
    left = idle(tmp_path, 60 * MINUTES, config=config)
    heard = left.records - 2000 - 1  # each joined once, and the coordinator started
    assert 60 * MINUTES - 30 <= heard <= 60 * MINUTES
    assert left.text - (config.fresh_megabytes << 20) > 2 * SEGMENT_BYTES
    assert left.archived > 2000
    archived_a_day = DAY_SECONDS * left.archive / (left.archived - 2000)
    assert archived_a_day < 25e6
    # Rows have overhead, pages are not full, and what a segment's records leave is filled by the next ones.
    growth = left.log / ((config.fresh_megabytes << 20) + 2 * SEGMENT_BYTES)
    assert growth < 1.5
    default = CoordinatorConfig(data=tmp_path)
    log_at_most = growth * ((default.fresh_megabytes << 20) + (16 << 20))
    assert archived_a_day + log_at_most < 100e6
