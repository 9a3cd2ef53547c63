"""The settings for a command: loaded, or the command ends and every mistake is named."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer import Exit

from tradesense.cli.terminal import errors
from tradesense.settings import Settings, SettingsInvalid


def load(**given: Any) -> Settings:  # noqa: ANN401 - the fields of Settings
    """The settings of the environment; `given` overrides what is not None. Ends the command with 1 on mistakes."""
    with _naming_mistakes():
        return Settings.load(**{name: value for name, value in given.items() if value is not None})


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


def load_serving(**given: Any) -> Settings:  # noqa: ANN401 - the fields of Settings
    """As `load_ready`, for a process that runs on: ends the command as well where no port for metrics is to be had."""
    from tradesense.cli.ports import metrics_listener

    settings = load_ready(**given)
    with _naming_mistakes():
        listener = metrics_listener(settings)
    if listener is not None:
        listener.close()  # each process takes its own
    return settings


@contextmanager
def _naming_mistakes() -> Iterator[None]:
    """Print mistakes in the configuration, and end the command with 1."""
    try:
        yield
    except SettingsInvalid as invalid:
        errors().print(str(invalid), style="red", markup=False)
        raise Exit(1) from None
