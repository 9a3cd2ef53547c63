"""`tradesense user`: the users of this instance, from the machine it runs on."""

import pytest

from tests.tradesense.cli.conftest import Run

PASSWORD = "correct horse battery staple\n"


def test_a_user_is_created_promoted_and_disabled(run: Run) -> None:
    created = run("user", "create", "Trader@Example.com", stdin=PASSWORD)
    assert (created.code, created.out) == (0, "created trader@example.com, user\n")
    assert run("user", "promote", "trader@example.com").out == "trader@example.com is an administrator now\n"
    assert "disabled" in run("user", "disable", "trader@example.com").out


def test_an_administrator_can_be_created_where_registration_is_closed(
    run: Run, environment: dict[str, str | None]
) -> None:
    environment["TRADESENSE_REGISTRATION"] = "closed"
    assert (
        run("user", "create", "root@example.com", "--admin", stdin=PASSWORD).out == "created root@example.com, admin\n"
    )


def test_the_same_address_is_refused_the_second_time(run: Run) -> None:
    run("user", "create", "trader@example.com", stdin=PASSWORD)
    again = run("user", "create", "trader@example.com", stdin=PASSWORD)
    assert again.code == 1
    assert "registered" in again.err


@pytest.mark.parametrize(
    ("arguments", "stdin", "named"),
    [
        (["nobody"], PASSWORD, "email"),
        (["a@example.com"], "short\n", "password: a password has at least 8 characters"),
        (["a@example.com"], "", "password: a password has at least 8 characters"),
        (["a@example.com", "--timezone", "Nowhere/City"], PASSWORD, "timezone"),
    ],
)
def test_what_cannot_be_is_named(run: Run, arguments: list[str], stdin: str, named: str) -> None:
    ran = run("user", "create", *arguments, stdin=stdin)
    assert ran.code == 1
    assert named in ran.err


def test_an_unknown_user_cannot_be_promoted(run: Run) -> None:
    ran = run("user", "promote", "nobody@example.com")
    assert ran.code == 1
    assert "nobody@example.com" in ran.err
