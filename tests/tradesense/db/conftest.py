"""Instances of a database of the test's own."""

from collections.abc import AsyncIterator

import pytest

from tests.tradesense.db.copies import Instance, Start, instances


@pytest.fixture
async def start(migrated_url: str) -> AsyncIterator[Start]:
    """Start another instance."""
    async with instances(migrated_url) as start:
        yield start


@pytest.fixture
async def instance(start: Start) -> Instance:
    """An instance with copies of its own, which nothing marks as done in the background yet."""
    return await start()
