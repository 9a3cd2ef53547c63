"""The house itself: what the locks and the packages promise."""

import re
import tomllib
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.conftest import CHECKOUT

LOCKS = sorted((CHECKOUT / "requirements").glob("*.txt"))
SOURCES = sorted((CHECKOUT / "src").rglob("*.py"))
GRAB_BAGS = {"utils", "helpers", "common", "misc", "base"}
LONGEST = 400


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


def test_no_module_is_longer_than_can_be_read_at_a_sitting() -> None:
    written = [path for path in SOURCES if "versions" not in path.parts]
    assert [path for path in written if len(path.read_text().splitlines()) > LONGEST] == []


def test_nothing_is_named_for_want_of_a_name() -> None:
    assert [path for path in SOURCES if path.stem in GRAB_BAGS or GRAB_BAGS & set(path.parts)] == []
    vague = re.compile(r"^class \w*(Manager|Helper)\b", re.MULTILINE)
    assert [path for path in SOURCES if vague.search(path.read_text())] == []


def test_every_slice_is_under_the_contract_of_slices() -> None:
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in contracts if each["name"].startswith("a slice"))
    slices = {path.parent.name for path in SOURCES if path.name == "endpoints.py" and "tradesense" in path.parts}
    assert slices <= {container.removeprefix("tradesense.") for container in contract["containers"]}
