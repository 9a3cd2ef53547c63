"""Progress bars on the standard error, for a person who waits; nothing where nobody looks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from tradesense.cli.terminal import errors

if TYPE_CHECKING:
    from tradesense.brokers.reading import Progress as Told
    from tradesense.cli.report_files import ProgressOf

_WHOLE: Final = 1.0


@contextmanager
def bars() -> Iterator[Progress]:
    """Bars that are gone when the work is done."""
    console = errors()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[told]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


@contextmanager
def reading_progress() -> "Iterator[ProgressOf]":
    """A bar for each file that is read, fed by the reader."""
    with bars() as progress:

        def progress_of(path: Path) -> "Told":
            task = progress.add_task(path.name, total=_WHOLE, told="")
            return lambda rows, fraction: progress.update(task, completed=fraction, told=f"{rows:,} rows")

        yield progress_of
