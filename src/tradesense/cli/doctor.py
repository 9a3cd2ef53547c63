"""`tradesense doctor`: look at everything the program needs, and say how to mend what is not well."""

from typing import TYPE_CHECKING, Annotated

from typer import Exit, Option

from tradesense.cli.terminal import output, write_json

if TYPE_CHECKING:
    from tradesense.cli.findings import Finding


def doctor(*, as_json: Annotated[bool, Option("--json", help="As JSON.")] = False) -> None:
    """Check configuration, data folder, disk, database, migrations and Redis; exit 1 when something is bad."""
    import asyncio

    from tradesense.cli.findings import State

    found = asyncio.run(_examine())
    if as_json:
        write_json([finding._asdict() for finding in found])
    else:
        _show(found)
    if any(finding.state is State.BAD for finding in found):
        raise Exit(1)


async def _examine() -> "list[Finding]":
    from tradesense.cli.findings import Finding, State, database, disk, redis
    from tradesense.settings import Settings, SettingsInvalid

    try:
        settings = Settings.load()
    except SettingsInvalid as invalid:
        return [Finding("configuration", State.BAD, mistake, "correct the variable") for mistake in invalid.mistakes]
    given = (settings.redis_url, settings.redis_cache_url)
    urls = list(dict.fromkeys(url.get_secret_value() for url in given if url is not None))
    return [
        Finding("configuration", State.GOOD, "every setting can be used"),
        *disk(settings.data_dir),
        *[finding async for finding in database(settings.database)],
        *[finding async for finding in redis(urls)],
    ]


def _show(found: "list[Finding]") -> None:
    from rich.table import Table
    from rich.text import Text

    from tradesense.cli.findings import State

    signs = {State.GOOD: ("✓", "green"), State.FAIR: ("!", "yellow"), State.BAD: ("✗", "red")}
    table = Table.grid(padding=(0, 2))
    for finding in found:
        mend = Text(f"\n→ {finding.mend}" if finding.mend else "", "dim")
        table.add_row(Text(*signs[finding.state]), finding.subject, Text(finding.found) + mend)
    output().print(table)
