"""`tradesense demo`: an account to look around in, with months of an imagined trader's fills."""

from typing import TYPE_CHECKING, Annotated, Final

from typer import Option

from tradesense.cli.terminal import output

if TYPE_CHECKING:
    from tradesense.wiring import State

EMAIL: Final = "demo@example.com"


def demo(
    email: Annotated[str, Option(help="The address of the demo user.")] = EMAIL,
    days: Annotated[int, Option(help="How many days of trades.", min=10, max=3650)] = 200,
    seed: Annotated[int, Option(help="Another seed is another trader.", min=0)] = 7,
) -> None:
    """Create a demo user with a generated password, and import realistic trades of an imagined trader."""
    from tradesense.cli.instance import run

    password = run(lambda state: create_demo(state, email, days=days, seed=seed), works=True)
    tell(email, password)


def ensure_demo() -> None:
    """Create the demo user unless it is there."""
    from tradesense.cli.instance import run
    from tradesense.security.service.refusals import EmailTaken

    async def create(state: "State") -> str | None:
        try:
            return await create_demo(state, EMAIL)
        except EmailTaken:
            return None

    password = run(create, works=True)
    if password is not None:
        tell(EMAIL, password)


def tell(email: str, password: str) -> None:
    """Print, this once, how to log in."""
    output().print(f"Demo account: {email}, password {password} (shown this once)", highlight=False, soft_wrap=True)


async def create_demo(state: "State", email: str, *, days: int = 200, seed: int = 7) -> str:
    """Create the demo user and give the password; raises `EmailTaken`."""
    import secrets
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    from keel.clock import SystemClock
    from tradesense.accounts.schemas import NewAccount
    from tradesense.cli.demo_trades import BALANCE, TIMEZONE, demo_csv
    from tradesense.cli.imports import import_bytes
    from tradesense.ingest.service.uploads import Upload

    password = secrets.token_urlsafe(12)
    user = await state["users"].create(email, password, TIMEZONE, "USD")
    wanted = NewAccount(name="Demo", starting_balance=BALANCE, timezone=TIMEZONE)
    account, _ = await state["accounts"].add(user.id, {**wanted.columns(), "currency": "USD"})
    yesterday = SystemClock().now().astimezone(ZoneInfo(TIMEZONE)).date() - timedelta(days=1)
    upload = Upload(user.id, "demo.csv", account.id, "generic")
    await import_bytes(state["imports"], demo_csv(yesterday, days=days, seed=seed), upload)
    return password
