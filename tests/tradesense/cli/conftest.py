"""How tests run the command: in this process for most, as a person would for a few."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from tradesense.cli import build

Run = Callable[..., "Ran"]


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever it printed
        return json.loads(self.out)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str | None]:
    """An instance of its own; the settings of whoever runs the tests do not count."""
    return {
        "TRADESENSE_DATA_DIR": str(tmp_path / "data"),
        "DATABASE_URL": None,
        "REDIS_URL": None,
        "REDIS_PRIVATE_URL": None,
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }


@pytest.fixture
def run(environment: dict[str, str | None]) -> Run:
    """Run a command in this process."""

    def invoke(*arguments: str | Path, stdin: str = "") -> Ran:
        result = CliRunner(env=environment).invoke(build(), [str(each) for each in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return invoke


@pytest.fixture
def run_command(environment: dict[str, str | None]) -> Run:
    """Run the installed command in a process of its own."""
    command = Path(sys.executable).with_name("tradesense")

    def invoke(*arguments: str | Path, stdin: str = "") -> Ran:
        given = {"PATH": os.defpath, **{name: value for name, value in environment.items() if value is not None}}
        done = subprocess.run(
            [command, *arguments], capture_output=True, check=False, text=True, input=stdin, env=given, timeout=60
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return invoke
