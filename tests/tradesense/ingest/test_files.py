"""Kept files: whole or not there, named by their hash, within the limit."""

import hashlib
import io
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tradesense.ingest.service.files import FileTooLarge, KeptFiles, Read

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def _reader(content: bytes, chunk: int = 3) -> Read:
    stream = io.BytesIO(content)

    async def read() -> bytes:
        return stream.read(chunk)

    return read


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_file_is_kept_under_its_hash(tmp_path: Path) -> None:
    files = KeptFiles(tmp_path / "files", 100)
    kept = await files.keep(_reader(b"ten bytes."))
    assert (kept.sha256, kept.size) == (hashlib.sha256(b"ten bytes.").hexdigest(), 10)
    assert files.path(kept.sha256).read_bytes() == b"ten bytes."
    assert await files.keep(_reader(b"ten bytes.")) == kept
    assert _names(tmp_path / "files") == {kept.sha256}


async def test_a_file_over_the_limit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    files = KeptFiles(tmp_path, 9)
    with pytest.raises(FileTooLarge):
        await files.keep(_reader(b"ten bytes."))
    assert _names(tmp_path) == set()


async def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def read() -> bytes:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await KeptFiles(tmp_path, 9).keep(read)
    assert _names(tmp_path) == set()


async def test_what_a_dead_process_left_goes_in_time(tmp_path: Path) -> None:
    files = KeptFiles(tmp_path, 9)
    for name, at in ((".old", 0), (".new", NOW.timestamp() + 1), ("kept", 0)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (at, at))
    await files.remove_leftovers(NOW)
    assert _names(tmp_path) == {".new", "kept"}


async def test_a_file_that_was_kept_anew_is_not_removed(tmp_path: Path) -> None:
    files = KeptFiles(tmp_path, 9)
    kept = await files.keep(_reader(b"nine byte"))
    await files.remove(kept.sha256, NOW.replace(year=2020))
    assert files.path(kept.sha256).exists()
    os.utime(files.path(kept.sha256), (0, 0))
    await files.remove(kept.sha256, NOW)
    await files.remove(kept.sha256, NOW)
    assert not files.path(kept.sha256).exists()
