import io
import os
from datetime import timedelta
from pathlib import Path

import pytest

from keel.logs.contract import Rotation
from keel.logs.files import RotatingFile, Stream

DAY = Rotation()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "app.log"


def rotated(path: Path) -> list[bytes]:
    return [each.read_bytes() for each in sorted(path.parent.glob("app.log.*Z"))]


def test_lines_are_appended(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"old\n")
    file = RotatingFile(path, DAY)
    file.write(b"new\n")
    file.close()
    file.close()
    assert path.read_bytes() == b"old\nnew\n"


def test_a_file_is_not_for_everybody_to_read(path: Path) -> None:
    RotatingFile(path, DAY).close()
    assert path.stat().st_mode & 0o007 == 0


def test_a_file_that_grows_too_large_is_renamed_and_only_so_many_are_kept(path: Path) -> None:
    file = RotatingFile(path, Rotation(max_bytes=10, keep=2))
    for number in range(5):
        file.write(b"line %d\n" % number)
    file.close()
    assert (rotated(path), path.read_bytes()) == ([b"line 2\n", b"line 3\n"], b"line 4\n")


def test_a_file_of_an_earlier_period_is_renamed(path: Path) -> None:
    file = RotatingFile(path, Rotation(period=timedelta(hours=1)))
    file.write(b"old\n")
    an_hour_ago = path.stat().st_mtime - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))
    file.write(b"new\n")
    assert (rotated(path), path.read_bytes()) == ([b"old\n"], b"new\n")
    file.close()


def test_a_file_may_be_renamed_removed_or_truncated_by_others(path: Path) -> None:
    file = RotatingFile(path, DAY)
    file.write(b"1\n")
    path.rename(path.with_suffix(".1"))
    file.write(b"2\n")
    assert (path.with_suffix(".1").read_bytes(), path.read_bytes()) == (b"1\n", b"2\n")
    path.unlink()
    file.write(b"3\n")
    assert path.read_bytes() == b"3\n"
    os.truncate(path, 0)
    file.write(b"4\n")
    assert path.read_bytes() == b"4\n"
    file.close()


def test_processes_that_share_a_file_rotate_it_once(path: Path) -> None:
    files = [RotatingFile(path, Rotation(max_bytes=10)) for _ in range(3)]
    for file in files:
        file.write(b"123\n")
    assert path.read_bytes() == b"123\n"
    assert rotated(path) == [b"123\n123\n"]
    for file in files:
        file.close()


def test_a_stream_gets_whole_lines_in_pieces_that_a_pipe_takes_at_once() -> None:
    class Pieces(io.BytesIO):
        def __init__(self) -> None:
            super().__init__()
            self.pieces: list[bytes] = []

        def write(self, piece: object) -> int:
            assert isinstance(piece, bytes)
            self.pieces.append(piece)
            return len(piece)

    stream = Pieces()
    long = b"x" * 5000 + b"\n"
    lines = b"short\n" * 1000 + long + b"short\n"
    output = Stream(stream)
    output.write(lines)
    output.close()
    assert b"".join(stream.pieces) == lines
    assert all(piece.endswith(b"\n") for piece in stream.pieces)
    assert [len(piece) for piece in stream.pieces if len(piece) > 4096] == [len(long)]
    assert not stream.closed
