"""What is said of an exception: its type, its message, and where it was raised. Never the values of variables."""

import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

MOST_FRAMES: Final = 50
"""Of a deep stack those nearest to the error are named."""
MOST_CAUSES: Final = 5
LONGEST_MESSAGE: Final = 4096


def described(error: BaseException) -> dict[str, Any]:
    """`type`, `message`, `frames` (each `{file, line, function}`, innermost last), and `cause` where there is one.

    Redaction of the message is for whoever shows it.
    """
    said = _said(error)
    place = said
    for cause in _causes(error):
        place["cause"] = _said(cause)
        place = place["cause"]
    return said


def type_name(error: BaseException) -> str:
    """The name of its type, with the module's."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _said(error: BaseException) -> dict[str, Any]:
    try:
        message = str(error)[:LONGEST_MESSAGE]
    except Exception:  # noqa: BLE001 - an exception that cannot even say what it is about
        message = ""
    return {"type": type_name(error), "message": message, "frames": list(_frames(error.__traceback__))[-MOST_FRAMES:]}


def _frames(trace: TracebackType | None) -> Iterator[dict[str, Any]]:
    while trace is not None:
        code = trace.tb_frame.f_code
        yield {"file": short_path(code.co_filename), "line": trace.tb_lineno, "function": code.co_qualname}
        trace = trace.tb_next


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen = {id(error)}
    for _ in range(MOST_CAUSES):
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None or id(cause) in seen:
            return
        seen.add(id(cause))
        yield cause
        error = cause


def short_path(path: str) -> str:
    """The path of a source file from where it is imported: it says nothing of the machine."""
    for root in sorted(sys.path, key=len, reverse=True):
        if root and path.startswith(f"{root}/"):
            return path[len(root) + 1 :]
    return path.rpartition("/")[2]
