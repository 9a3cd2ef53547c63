"""When what has failed is tried again, and what is said of an error where people read it."""

import random
import traceback
from datetime import timedelta
from typing import Final

from sqlalchemy.exc import DBAPIError

from keel.logs.redaction import Redaction

FIRST: Final = timedelta(seconds=5)
LONGEST: Final = timedelta(minutes=10)
JITTER: Final = 0.5
"""What fails together must not come back together: up to half of the pause is left to chance."""
LONGEST_TEXT: Final = 500


def pause(attempt: int, chance: random.Random | None = None) -> timedelta:
    """How long to wait after the attempt of this number, 1 for the first: twice as long each time, up to 10 minutes.

    Some of it is left to `chance`: see "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("equal jitter").
    """
    doubled: int = 2 ** min(attempt - 1, 30)
    whole = min(FIRST * doubled, LONGEST)
    return whole * (1 - JITTER * (chance or random.Random()).random())


def told(error: BaseException) -> str:
    """The error in a line: its type, the first line of what it says, without secrets, and where it was raised.

    Of a database's error only what the database said: the statement's parameters are people's data.
    """
    said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    line = Redaction().text(said.strip().partition("\n")[0])[:LONGEST_TEXT]
    frames = traceback.extract_tb(error.__traceback__)
    place = f" (in {frames[-1].name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {line}{place}"
