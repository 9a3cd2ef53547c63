"""`tradesense user`: the users of this instance, from the machine it runs on."""

import sys
from typing import TYPE_CHECKING, Annotated, Final

from typer import Argument, Option, prompt

from tradesense.cli.terminal import output

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tradesense.security.repository.users import User
    from tradesense.security.service.users import Users
    from tradesense.wiring import State

_ALL: Final = 10_000

Email = Annotated[str, Argument(help="The user's email address.")]


def create(
    email: Email,
    admin: Annotated[bool, Option("--admin", help="Make the user an administrator.")] = False,
    timezone: Annotated[str | None, Option(help="The user's time zone; TRADESENSE_TIMEZONE unless given.")] = None,
    currency: Annotated[str | None, Option(help="The user's currency; TRADESENSE_CURRENCY unless given.")] = None,
) -> None:
    """Create a user, even where registration is closed; the password is asked for, or read from standard input."""
    from tradesense.cli.instance import refuse_invalid
    from tradesense.db.tables import Role
    from tradesense.security.schemas import Registration

    with refuse_invalid():
        wanted = Registration.model_validate(
            {"email": email, "password": _password(), "timezone": timezone, "currency": currency}
        )
    role = Role.ADMIN if admin else Role.USER

    async def create_user(users: "Users") -> "User":
        password = wanted.password.get_secret_value()
        return await users.create(wanted.email, password, wanted.timezone, wanted.currency, role=role)

    user = _with_users(create_user)
    output().print(f"created {user.email}, {user.role.value}")


def promote(email: Email) -> None:
    """Make a user an administrator."""
    user = _with_users(lambda users: users.promote(email))
    output().print(f"{user.email} is an administrator now")


def disable(email: Email) -> None:
    """Keep a user out from now on, and end their sessions; their data stays."""
    user = _with_users(lambda users: users.disable(email))
    output().print(f"{user.email} is disabled, and logged out everywhere")


def rebuild(email: Email) -> None:
    """Read all files of a user again, as this version reads them; a server or a worker does it in the background."""
    from tradesense.cli.instance import run
    from tradesense.ingest.tasks import REBUILD

    async def queue_rebuilds(state: "State") -> int:
        found = await state["users"].get_by_email(email)
        accounts = await state["accounts"].page(found.id, None, _ALL)
        whose = {"user_id": str(found.id)}
        queued = [await state["queue"].add(REBUILD, str(account.id), whose) for account in accounts]
        return len(queued)

    output().print(f"{run(queue_rebuilds)} accounts of {email} are rebuilt as soon as a server or a worker runs")


def _password() -> str:
    """Typed twice at a terminal; else the first line of the standard input, so that scripts can give it."""
    if sys.stdin.isatty():
        typed: str = prompt("Password", hide_input=True, confirmation_prompt=True)
        return typed
    return sys.stdin.readline().rstrip("\r\n")


def _with_users(work: "Callable[[Users], Awaitable[User]]") -> "User":
    from tradesense.cli.instance import run

    return run(lambda state: work(state["users"]))
