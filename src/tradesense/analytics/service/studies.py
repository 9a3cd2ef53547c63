"""Questions, and what an answer is worked out from: the trades in question, their labels and the capital at work."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from tradesense.analytics.repository import Account, Flow, Segments, Selection, Versions
from tradesense.domain.days import View
from tradesense.domain.equity import Capital
from tradesense.domain.filters import Filter, Result, Status, select
from tradesense.domain.ledger import Ledger
from tradesense.domain.money import ZERO, exact
from tradesense.domain.trades import Direction, TradeId
from tradesense.journal.service import Labels

NO_LABELS: Final = Labels(*(MappingProxyType({}),) * 4)


@dataclass(frozen=True, slots=True)
class Question:
    """Which trades a question is about; None asks for nothing. Days are the user's, both included."""

    books: Selection
    tags: frozenset[str] | None = None
    playbooks: frozenset[str] | None = None
    direction: Direction | None = None
    results: frozenset[Result] | None = None
    status: Status | None = None
    first: date | None = None
    last: date | None = None

    @property
    def goes_by_labels(self) -> bool:
        """Whether it takes labels to tell which trades are meant."""
        return self.tags is not None or self.playbooks is not None


class Read(NamedTuple):
    """What was read to answer a question, all of one moment."""

    segments: Segments
    accounts: Sequence[Account]
    flows: Sequence[Flow]
    labels: Labels
    versions: Versions


@dataclass(frozen=True, slots=True)
class Study:
    """What an answer is worked out from: the trades in question as seen from the user's zone, and what goes with them.

    `currency` is None where there are several, or none to tell. `capital` is that of each currency at the start of the
    period, where it is known.
    """

    view: View
    currency: str | None
    capital: Mapping[str, Capital]
    accounts: Sequence[Account]
    labels: Labels
    version: int
    now: datetime

    @property
    def ledger(self) -> Ledger:
        """The trades in question."""
        return self.view.ledger

    @property
    def is_mixed(self) -> bool:
        """Whether the trades are in several currencies, which are never added up."""
        return len(self.ledger.currencies) > 1

    @property
    def only_capital(self) -> Capital | None:
        """The capital of the only currency."""
        return self.capital.get(self.currency or "")


def study(read: Read, question: Question, zone: ZoneInfo, now: datetime) -> Study:
    """Decode what was read and select what is in question; work for a thread."""
    named = Filter(
        direction=question.direction,
        results=question.results,
        status=question.status,
        trades=_labelled(read.labels, question),
    )
    ever = select(read.segments.ledger(), named, zone)
    capital = _capital(read, ever, question, zone)
    if question.first is not None:
        parts = ever.by_currency()
        capital = {name: each.at(question.first, parts.get(name, ever), zone) for name, each in capital.items()}
    view = View(select(ever, Filter(first=question.first, last=question.last), zone), zone)
    told = view.ledger.currencies or capital or {account.currency for account in read.accounts}
    currency = question.books.currency or _only(told)
    return Study(view, currency, capital, read.accounts, read.labels, read.versions.data, now)


def _labelled(labels: Labels, question: Question) -> set[TradeId] | None:
    """The trades that bear one of the tags and one of the playbooks in question; None where none is."""
    found: set[TradeId] | None = None
    if question.tags is not None:
        found = {trade for trade, tags in labels.tags.items() if not question.tags.isdisjoint(tags)}
    if question.playbooks is not None:
        played = {trade for trade, playbook in labels.playbooks.items() if playbook in question.playbooks}
        found = played if found is None else found & played
    return found


def _capital(read: Read, ledger: Ledger, question: Question, zone: ZoneInfo) -> dict[str, Capital]:
    """The capital of each currency: the balances with which its accounts started, and what was paid in and out.

    It is unknown where an account trades in the currency that is kept in another, or has no starting balance. Where
    there are no trades it is that of each currency that accounts are kept in.
    """
    known = {str(account.id): account for account in read.accounts if account.starting_balance is not None}
    unknown = {
        book.currency
        for book in ledger.books
        if book.account not in known or known[book.account].currency != book.currency
    }
    asked = question.books.currency
    kept = {account.currency for account in known.values() if asked in {None, account.currency}}
    return {
        currency: _balance(known.values(), read.flows, currency, question.last, zone)
        for currency in ledger.currencies or kept
        if currency not in unknown
    }


def _balance(
    accounts: Collection[Account], flows: Sequence[Flow], currency: str, last: date | None, zone: ZoneInfo
) -> Capital:
    paid: dict[date, Decimal] = defaultdict(lambda: ZERO)
    with exact():
        starting = sum((account.starting_balance or ZERO for account in accounts if account.currency == currency), ZERO)
        for flow in flows:
            day = flow.at.astimezone(zone).date()
            if flow.currency == currency and (last is None or day <= last):
                paid[day] += flow.amount
    return Capital(starting, dict(paid))


def _only(names: Collection[str]) -> str | None:
    return next(iter(names)) if len(names) == 1 else None
