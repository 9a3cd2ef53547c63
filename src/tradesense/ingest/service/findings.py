"""What an import found, as its row keeps it and people read it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from tradesense.brokers.contract import Question
from tradesense.brokers.reading import Reading
from tradesense.domain import money
from tradesense.domain.matching import Unmatched
from tradesense.ingest.service.choosing import Chosen
from tradesense.ingest.service.comparing import Comparison
from tradesense.ingest.service.rebuilding import Rebuild
from tradesense.ingest.service.staging import Destination, Staging
from tradesense.ingest.service.suspects import Suspect

LISTED: Final = 1000
"""Errors and warnings that are listed; their number is told beside them."""
_LINES: Final = 10


def one_error(message: str) -> dict[str, Any]:
    """A file that cannot be read as a whole."""
    return {"errors": [{"line": None, "column": None, "message": message}], "error_count": 1}


def questions(asked: Iterable[Question]) -> list[dict[str, Any]]:
    """Questions as the import's row keeps them."""
    return [{"field": each.field, "why": each.why, "options": list(each.options)} for each in asked]


def of_reading(reading: Reading) -> dict[str, Any]:
    """What is known once the file is read."""
    return {
        "broker": reading.broker,
        "format": reading.format,
        "rows": reading.rows,
        "ignored": [{"reason": reason, "count": count} for reason, count in reading.ignored.most_common()],
        "errors": [
            {"line": each.line, "column": each.column, "message": each.message} for each in reading.errors[:LISTED]
        ],
        "error_count": reading.error_count,
        "warnings": _warnings(reading),
    }


def of_run(
    reading: Reading, chosen: Chosen, staged: Staging, rebuilds: Iterable[Rebuild], comparison: Comparison
) -> dict[str, Any]:
    """What is known in the end. A row all of whose fills were there already is a duplicate."""
    excesses = [each for rebuild in rebuilds for _, each in rebuild.unmatched]
    warnings = [
        *_warnings(reading),
        *chosen.warnings,
        *staged.warnings,
        *unmatched(excesses, staged.closings),
        *comparison.warnings,
    ]
    beyond = comparison.disagreements - len(comparison.warnings)
    if beyond:
        warnings.append(f"{beyond} more trades disagree with the P&L that the file states")
    return {
        "imported": staged.rows,
        "duplicates": reading.imported - staged.rows,
        "executions": staged.executions,
        "cash": staged.movements,
        "accounts": [str(one.account.id) for one in chosen.all],
        "warnings": warnings[:LISTED],
    }


def suspected(found: Sequence[Suspect], destinations: Sequence[Destination]) -> Question:
    """What to ask of suspected duplicates."""
    lines = list(dict.fromkeys(each.line for each in found))
    told = ", ".join(map(str, lines[:_LINES])) + (", …" if len(lines) > _LINES else "")
    formats = sorted({each for one in destinations for each in one.account.formats})
    why = (
        f"{len(found)} executions (lines {told}) are the same as some that came by {', '.join(formats)}: instrument, "
        "side, quantity, price and second. skip leaves them out, import takes them as further executions"
    )
    return Question("suspected_duplicates", why, ("skip", "import"))


def _warnings(reading: Reading) -> list[str]:
    if not reading.rows:
        return ["the file has its columns and no rows; export a period in which something was traded"]
    listed = [f"line {each.line}: {each.message}" for each in reading.warnings]
    beyond = reading.warning_count - len(listed)
    return [*listed, f"{beyond} more rows have warnings"] if beyond else listed


def unmatched(excesses: Iterable[Unmatched], lines: Mapping[UUID, int]) -> Iterable[str]:
    """What to say of expiries and the like that found nothing open; `lines` are those of this import."""
    for excess in excesses:
        line = lines.get(excess.execution_id)
        if line is not None:
            what = f"the {excess.kind.value} of {money.text(excess.quantity)}"
            yield f"line {line}: nothing is open that {what} could act on"
