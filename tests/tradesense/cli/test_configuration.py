"""`tradesense config` and `tradesense doctor`."""

from importlib.metadata import version
from pathlib import Path

import pytest

from tests.tradesense.cli.conftest import Run


def test_a_configuration_that_can_be_used_is_said_to_be(run: Run) -> None:
    assert run("config", "check").code == 0


def test_every_mistake_in_the_configuration_is_named(run: Run, environment: dict[str, str | None]) -> None:
    environment |= {"PORT": "many", "DATABASE_URL": "mysql://somewhere"}
    ran = run("config", "check")
    assert ran.code == 1
    assert "PORT" in ran.err
    assert "DATABASE_URL" in ran.err


def test_secrets_are_masked(run: Run, environment: dict[str, str | None]) -> None:
    environment["DATABASE_URL"] = "postgresql://someone:s3cret@127.0.0.1/db"
    for ran in (run("config", "show"), run("config", "show", "--json")):
        assert "127.0.0.1/db" in ran.out
        assert "s3cret" not in ran.out
    assert run("config", "show", "--json").json["PORT"] == "8000"


def test_doctor_finds_nothing_bad_in_a_fresh_place(run: Run) -> None:
    ran = run("doctor")
    assert ran.code == 0
    assert "`tradesense serve` creates it" in ran.out


def test_doctor_says_what_is_bad_and_how_to_mend_it(run: Run, environment: dict[str, str | None]) -> None:
    environment["DATABASE_URL"] = "postgresql://someone:s3cret@127.0.0.1:1/db"
    ran = run("doctor", "--json")
    assert ran.code == 1
    findings = {finding["subject"]: finding for finding in ran.json}
    assert findings["database"]["state"] == "bad"
    assert "DATABASE_URL" in findings["database"]["mend"]
    assert "s3cret" not in ran.out


@pytest.mark.parametrize("command", [("serve",), ("user", "promote", "trader@example.com")], ids=["serve", "user"])
@pytest.mark.parametrize(
    ("name", "value", "mend"),
    [
        ("DATABASE_URL", "postgresql://someone:s3cret@127.0.0.1:1/db", "start it, or correct DATABASE_URL"),
        ("TRADESENSE_DATA_DIR", str(Path(__file__) / "data"), "point TRADESENSE_DATA_DIR at one"),
    ],
    ids=["database", "folder"],
)
def test_what_is_missing_is_said_before_a_command_begins(
    run: Run, environment: dict[str, str | None], command: tuple[str, ...], name: str, value: str, mend: str
) -> None:
    environment[name] = value
    ran = run(*command)
    assert ran.code == 1
    assert mend in ran.err.replace("\n", " ")
    assert "s3cret" not in ran.err


def test_doctor_names_mistakes_in_the_configuration(run: Run, environment: dict[str, str | None]) -> None:
    environment["PORT"] = "many"
    ran = run("doctor", "--json")
    assert ran.code == 1
    assert [finding["subject"] for finding in ran.json] == ["configuration"]


def test_help_names_every_command_and_starts_none(run_command: Run) -> None:
    ran = run_command("--help")
    assert ran.code == 0
    for command in ("serve", "report", "doctor", "user", "config"):
        assert command in ran.out


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").out.strip() == version("tradesense")
