"""Where a command writes: results to the standard output, everything about them to the standard error."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def output() -> "Console":
    """For results."""
    from rich.console import Console

    return Console()


def errors() -> "Console":
    """For warnings, errors, questions and progress."""
    from rich.console import Console

    return Console(stderr=True)


def write_json(value: Any) -> None:  # noqa: ANN401 - anything that JSON has
    """A result for programs: as it is, in UTF-8 (RFC 8259), whatever the terminal's width and characters."""
    import orjson

    sys.stdout.flush()
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
