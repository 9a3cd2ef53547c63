"""Why a file is not read: an answer is missing, or it cannot be read at all."""

from typing import NamedTuple


class Question(NamedTuple):
    """Something only the person knows. `field` is an option's name: timezone, date, date_order, mapping."""

    field: str
    why: str
    options: tuple[str, ...] = ()


class NeedsInput(Exception):
    """The file cannot be read without an answer; nothing is guessed."""

    def __init__(self, *questions: Question) -> None:
        super().__init__("; ".join(f"{q.field}: {q.why}" for q in questions))
        self.questions = questions


class Unreadable(Exception):
    """The file as a whole cannot be read: empty, a picture, truncated markup. The message says what to do."""
