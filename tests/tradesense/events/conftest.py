"""Connections know nothing of databases: their tests run on one kind."""

from pathlib import Path
from shutil import copyfile

import pytest

from tradesense.settings import Settings


@pytest.fixture
def settings(migrated_sqlite: Path, tmp_path: Path) -> Settings:
    """Settings on a migrated database of the test's own."""
    url = f"sqlite:///{copyfile(migrated_sqlite, tmp_path / 'tradesense.db')}"
    return Settings.load({}, database_url=url, data_dir=tmp_path, rate_limits="off")
