"""The settings for a command: loaded, or the command ends and every mistake is named."""

import asyncio
from typing import Any

from typer import Exit

from tradesense.cli.terminal import errors
from tradesense.settings import Settings, SettingsInvalid


def load(**given: Any) -> Settings:  # noqa: ANN401 - the fields of Settings
    """The settings of the environment; `given` overrides what is not None. Ends the command with 1 on mistakes."""
    try:
        return Settings.load(**{name: value for name, value in given.items() if value is not None})
    except SettingsInvalid as invalid:
        errors().print(str(invalid), style="red", markup=False)
        raise Exit(1) from None


def load_ready(**given: Any) -> Settings:  # noqa: ANN401 - the fields of Settings
    """As `load`, and ends the command as well where the data folder or the database cannot be used."""
    from tradesense.cli.findings import missing

    settings = load(**given)
    found = asyncio.run(missing(settings.data_dir, settings.database))
    for each in found:
        errors().print(f"{each.subject}: {each.found}\n→ {each.mend}", style="red", markup=False, soft_wrap=True)
    if found:
        raise Exit(1)
    return settings
