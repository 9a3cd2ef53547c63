"""The house itself: what the locks and the packages promise."""

import re
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.conftest import CHECKOUT

LOCKS = sorted((CHECKOUT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_every_package_by_hash_and_names_no_address(lock: Path) -> None:
    content = lock.read_text()
    assert "://" not in content
    assert not re.search(r"^\s*-", content.replace("    --hash=sha256:", ""), re.MULTILINE)
    packages = re.split(r"^(?=[a-z])", content, flags=re.MULTILINE)
    assert all("==" in package and "--hash=sha256:" in package for package in packages if package.strip())


async def test_a_test_gets_an_empty_database_of_its_own(database_url: str) -> None:
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE only_here (id INTEGER)"))
    await engine.dispose()
