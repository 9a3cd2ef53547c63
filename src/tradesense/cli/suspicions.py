"""Fills that two formats of one broker seem to tell, among the files of one report."""

from collections import defaultdict
from typing import TYPE_CHECKING

from tradesense.brokers.contract import Question
from tradesense.brokers.reading import Entry, Reading

if TYPE_CHECKING:
    from tradesense.ingest.service.suspects import Suspect


class Suspicions:
    """What each format of each broker has told so far; the account does not matter, for not every format names it."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, list[Entry]]] = defaultdict(dict)
        self._identities: set[bytes] = set()

    def suspected(self, reading: Reading) -> "list[Suspect]":
        """The fills of a file that another format of its broker seems to have told already."""
        formats = self._told[reading.broker]
        others = [entry for name, entries in formats.items() if name != reading.format for entry in entries]
        if not others:
            return []
        from tradesense.ingest.repository.places import key_text
        from tradesense.ingest.repository.staging import Other
        from tradesense.ingest.service.suspects import suspects

        theirs = (
            Other(key_text(fill.instrument.key), fill.side, fill.quantity, fill.price, fill.at)
            for fill in (entry.fill for entry in others)
        )
        return suspects(theirs, reading.fills(), lambda some: frozenset(self._identities.intersection(some)))

    def note(self, reading: Reading) -> None:
        """Remember what a file told."""
        entries = list(reading.fills())
        self._told[reading.broker].setdefault(reading.format, []).extend(entries)
        self._identities.update(entry.identity for entry in entries)


def question(reading: Reading, count: int) -> Question:
    """Whether fills that seem to be known are the same ones."""
    why = (
        f"{count:,} of the {reading.executions:,} fills of this {reading.broker} file look like fills "
        "that another of its formats has told: skip leaves them out, import takes them as further ones"
    )
    return Question("suspected_duplicates", why, ("skip", "import"))
