"""What every end-to-end test starts from: an empty farm."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.farm import Farm, open_farm


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    """A farm without any process yet."""
    async with open_farm(tmp_path) as farm:
        yield farm
