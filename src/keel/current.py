"""The Keel that is running: the one global, for decorators and for handles at module level."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from keel.opening import Keel


class NoKeel(RuntimeError):
    """A name of keel's was used with no Keel running."""

    def __init__(self) -> None:
        super().__init__("no Keel is running: begin with `async with Keel.open(...):`, or `with keel.running():` it")


class _Running:
    """Those that are open in this process, the latest last, and the one that this context has chosen."""

    def __init__(self) -> None:
        self.chosen: ContextVar[Keel | None] = ContextVar("keel", default=None)
        self.open: list[Keel] = []


_RUNNING: Final = _Running()


def current() -> "Keel":
    """The context's own Keel, or the one that was opened last; raises NoKeel where there is none."""
    chosen = _RUNNING.chosen.get()
    if chosen is not None:
        return chosen
    if not _RUNNING.open:
        raise NoKeel
    return _RUNNING.open[-1]


@contextmanager
def choosing(keel: "Keel") -> Iterator[None]:
    """Let what is inside, and tasks that start there, use `keel`, whichever others are open."""
    token = _RUNNING.chosen.set(keel)
    try:
        yield
    finally:
        _RUNNING.chosen.reset(token)


@contextmanager
def listed(keel: "Keel") -> Iterator[None]:
    """Count `keel` among those that are open."""
    _RUNNING.open.append(keel)
    try:
        yield
    finally:
        _RUNNING.open.remove(keel)
