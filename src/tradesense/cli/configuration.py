"""The settings for a command: loaded, or the command ends and every mistake is named."""

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
