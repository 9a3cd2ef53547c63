"""Whatever the bytes, an importer gives outcomes or a refusal; what once brought one down stays in the corpus."""

import random
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.brokers.cases import CASES
from tests.brokers.fuzzing import NASTY, check, spoil

CORPUS: Final = Path(__file__).parent / "corpus"
CONTENTS: Final = [case.path.read_bytes() for case in CASES]

modest = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@modest
@given(content=st.binary(max_size=2000))
def test_any_bytes_are_read_or_refused(content: bytes, tmp_path: Path) -> None:
    check(written(tmp_path / "export.csv", content))


@modest
@given(
    header=st.sampled_from([content.splitlines()[0] for content in CONTENTS]),
    cells=st.lists(st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=12)), max_size=14), max_size=6),
)
def test_any_cells_under_a_known_header_are_read_or_refused(
    header: bytes, cells: list[list[str]], tmp_path: Path
) -> None:
    rows = "\n".join(",".join(row) for row in cells).encode("utf-8", "replace")
    check(written(tmp_path / "export.csv", header + b"\n" + rows))


@modest
@given(seed=st.integers(0, 1 << 32), content=st.sampled_from(CONTENTS))
def test_a_spoilt_export_is_read_or_refused(seed: int, content: bytes, tmp_path: Path) -> None:
    check(written(tmp_path / "export.csv", spoil(content, random.Random(seed), CONTENTS)))


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.bin")), ids=lambda path: path.stem)
def test_what_once_broke_an_importer_breaks_none(path: Path) -> None:
    check(path)
