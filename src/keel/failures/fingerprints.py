"""What makes two errors the same: their type, and the way through the application's own code that led there."""

from collections.abc import Collection, Iterator
from hashlib import blake2b
from itertools import groupby
from types import TracebackType
from typing import Final

from keel.failures.contract import Frame
from keel.logs.exceptions import short_path, type_name

MOST_FRAMES: Final = 50
"""Frames that are kept, the innermost ones."""
TELLING: Final = 8
"""Own frames that count, the innermost ones: what stands around all requests alike may change."""


def culprit(error: BaseException) -> BaseException:
    """The error itself; of a group of errors the first that is none."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def frames(error: BaseException, own: Collection[str]) -> tuple[Frame, ...]:
    """The places that the error came through, outermost first; those in the packages `own` are the application's."""
    return tuple(_frames(error.__traceback__, own))[-MOST_FRAMES:]


def _frames(trace: TracebackType | None, own: Collection[str]) -> Iterator[Frame]:
    while trace is not None:
        code = trace.tb_frame.f_code
        file = short_path(code.co_filename)
        yield Frame(file, trace.tb_lineno, code.co_qualname, file.partition("/")[0] in own)
        trace = trace.tb_next


def fingerprint(error: BaseException, through: Collection[Frame]) -> str:
    """Sixteen hexadecimal digits. Neither messages nor line numbers count, nor how deep a recursion went."""
    places = [(frame.file, frame.function) for frame in through if frame.is_own]
    if not places:
        places = [(frame.file, frame.function) for frame in list(through)[-1:]]
    told = [place for place, _ in groupby(places)][-TELLING:]
    text = "\n".join([type_name(error), *(f"{file} {function}" for file, function in told)])
    return blake2b(text.encode(), digest_size=8).hexdigest()


def where(through: Collection[Frame]) -> str:
    """The innermost own place, or the innermost at all; empty where nothing is known."""
    own = [frame for frame in through if frame.is_own] or list(through)
    return f"{own[-1].file} {own[-1].function}" if own else ""
