"""Corporate actions of Interactive Brokers, by their descriptions: `GCM(CA38501D2041) SPLIT 1 FOR 25 (GCM, …)`.

What each becomes:
- a split is a split of the share that goes on; the row of the former share (`GCM.OLD`) is its counterpart;
- a tender 1 for 1 and a change of the ISIN are new names of the same holding (`UUU.TEN2` is `UUU`), so the shares
  keep their cost; both rows are ignored, and later rows of this file under the new name count for the old one;
- what is paid for in money is a sale or a purchase at that price, with the P&L that the file states;
- shares received for none (spin-off, stock dividend, rights) come in at a cost of 0: the file leaves the whole cost
  with the parent, and so the sum over both is right;
- shares exchanged for others change hands at the value that the file gives to each side, so that no P&L is lost;
- anything else is ignored as a corporate action. The first three stand in the samples; spin-offs and exchanges are
  read as public importers of activity statements describe them, and have not been seen in a real file.
"""

import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from tradesense.brokers.amounts import product
from tradesense.brokers.contract import Ignored, Imported, Outcome, Stated
from tradesense.brokers.figures import figure
from tradesense.brokers.fills import fill, sign_of
from tradesense.brokers.ibkr_rows import Report
from tradesense.brokers.ibkr_terms import Asset, codes_of, instrument_of
from tradesense.brokers.tables import Row, RowError
from tradesense.brokers.times import Moment
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.money import average

_WHOLE: Final = re.compile(
    r"(?P<head>[^(]+?)\s*\((?P<isin>[^)]*)\)\s*(?P<what>.*?)\s*(?:\((?P<subject>[^,()]+),.*\))?", re.DOTALL
)
_SPLIT: Final = re.compile(r"SPLIT\s+(?P<new>\d+(?:\.\d+)?)\s+FOR\s+(?P<old>\d+(?:\.\d+)?)")
_RENAME: Final = re.compile(r"TENDERED TO \S+\s+1 FOR 1\b|CUSIP/ISIN CHANGE")
_PER_SHARE: Final = re.compile(r"FOR (?P<currency>[A-Z]{3}) (?P<price>\d+(?:\.\d+)?) PER SHARE")
_FORMER: Final = ".OLD"
_CANCELLED: Final = "Ca"


class Action(NamedTuple):
    """A corporate action's row, whatever report it stands in; the symbol is empty where only the description has it."""

    account: str
    category: str
    currency: str
    symbol: str
    isin: str
    description: str
    quantity: Decimal
    proceeds: Decimal
    value: Decimal
    realised: Decimal | None
    codes: frozenset[str]


def action_of(row: Row) -> Action:
    """The corporate action that a row tells. Raises `RowError` for a number that is none."""
    return Action(
        row.text("account"),
        row.text("category"),
        row.required("currency"),
        row.text("symbol"),
        row.text("isin"),
        row.text("description"),
        row.amount("quantity"),
        row.amount("proceeds"),
        row.amount("value"),
        row.find_number("realised"),
        codes_of(row.text("codes")),
    )


class CorporateActions:
    """What the corporate actions of one file amount to.

    `renamed` leads from the name that a holding got to the one it had, as the actions of the file say.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self.renamed: dict[str, str] = {}
        self._cancelled: Counter[tuple[str, str, Decimal]] = Counter()
        self._splits: set[tuple[str, str, str]] = set()
        for row in rows:
            try:
                action = action_of(row)
            except RowError:
                continue
            if _CANCELLED in action.codes:
                self._cancelled[action.account, action.description, -action.quantity] += 1
            self._learn_name(action)

    def _learn_name(self, action: Action) -> None:
        head, subject, what = _told(action)
        if _RENAME.search(what) and subject != head:
            self.renamed[subject] = head

    def outcome(self, row: Row, action: Action, moment: Moment, report: Report) -> Outcome:
        """What a row of corporate actions became."""
        if self._is_cancelled(action):
            return Ignored(row.line, "cancelled")
        head, subject, what = _told(action)
        if split := _SPLIT.search(what):
            return self._split(row, action, moment, report, (head, subject, split))
        if _RENAME.search(what):
            return Ignored(row.line, "renamed")
        if not action.quantity or not subject:
            return Ignored(row.line, "corporate action")
        return self._exchange(row, action, moment, report, (subject, what))

    def _is_cancelled(self, action: Action) -> bool:
        if _CANCELLED in action.codes:
            return True
        key = action.account, action.description, action.quantity
        if self._cancelled[key] > 0:
            self._cancelled[key] -= 1
            return True
        return False

    def _split(
        self, row: Row, action: Action, moment: Moment, report: Report, told: tuple[str, str, re.Match[str]]
    ) -> Outcome:
        head, subject, ratio = told
        key = action.account, head, moment.text
        if subject != head or key in self._splits:
            return Ignored(row.line, "split counterpart")
        self._splits.add(key)
        new, old = figure(ratio["new"]), figure(ratio["old"])
        instrument = instrument_of(_asset(action, self.name(head), isin=""), moment.wall.date(), report.context)
        made = fill(
            instrument,
            Side.BUY,
            new,
            old,
            moment,
            kind=ExecutionKind.SPLIT,
            account=report.account_of(row),
            told="split",
        )
        return Imported(row.line, (made,))

    def _exchange(self, row: Row, action: Action, moment: Moment, report: Report, told: tuple[str, str]) -> Outcome:
        subject, what = told
        quantity, worth, paid = abs(action.quantity), action.proceeds, _PER_SHARE.search(what)
        kind, warning, stated = ExecutionKind.TRADE, None, None
        if paid and paid["currency"] != action.currency:
            paid = None
        if action.proceeds or paid:
            stated = Stated(action.realised, net=True) if action.realised else None
        elif "SPINOFF" in what or "DIVIDEND" in what or "RIGHTS ISSUE" in what or "SUBSCRIBABLE" in what:
            kind = ExecutionKind.TRANSFER
        elif action.value:
            worth = action.value
            warning = f"{subject} was exchanged for other shares; it changes hands at the value that the file gives"
        else:
            return Ignored(row.line, "corporate action")
        instrument = instrument_of(_asset(action, self.name(subject)), moment.wall.date(), report.context)
        made = fill(
            instrument,
            sign_of(action.quantity),
            quantity,
            figure(paid["price"]) if paid else average(abs(worth), product(quantity, instrument.multiplier)),
            moment,
            kind=kind,
            account=report.account_of(row),
            stated=stated,
            told=what,
        )
        return Imported(row.line, (made,), warning)

    def name(self, symbol: str) -> str:
        """The symbol under which a holding is kept."""
        symbol = symbol.removesuffix(_FORMER)
        return self.renamed.get(symbol, symbol)


def _told(action: Action) -> tuple[str, str, str]:
    """The share that an action befalls, the one whose quantity the row gives, and what happens, in capitals."""
    found = _WHOLE.fullmatch(action.description.strip().upper())
    if found is None:
        return "", action.symbol.upper(), action.description.upper()
    head = found["head"].removesuffix(_FORMER)
    subject = (action.symbol.upper() or found["subject"] or "").strip()
    former = subject.endswith(_FORMER) and bool(_SPLIT.search(found["what"]))
    return head, subject if former else subject.removesuffix(_FORMER), found["what"]


def _asset(action: Action, symbol: str, isin: str | None = None) -> Asset:
    return Asset(action.category, symbol, action.currency, isin=action.isin if isin is None else isin)
