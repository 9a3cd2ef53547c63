"""What the API says of imports, and what it takes."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from tradesense.brokers.contract import DateOrder, Fill
from tradesense.db.tables import ImportStatus
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass
from tradesense.http.types import Body, Day, Line, Money, Timestamp, TimeZone, View
from tradesense.ingest.repository.queue import ImportRecord
from tradesense.ingest.service.previewing import Preview

MOST_COLUMNS: Final = 50

Column = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\u0000-\u001f]*$")]
"""The name of a column in a file."""

Columns = Annotated[
    dict[Line, Column],
    Field(
        max_length=MOST_COLUMNS,
        examples=[{"datetime": "Moment", "symbol": "What", "quantity": "How many", "price": "At"}],
    ),
]
"""A mapping from fields (datetime, symbol, quantity, price, …) to the file's columns."""


class Suspected(StrEnum):
    """What becomes of fills that another format seems to have told of already."""

    SKIP = "skip"
    IMPORT = "import"


class Count(View):
    """How many rows were ignored for a reason."""

    reason: str = Field(examples=["canceled"])
    count: int


class RowError(View):
    """A row that cannot be read; without a line it is the whole file."""

    line: int | None = Field(examples=[12])
    column: str | None = Field(description="The file's own name for it.", examples=["price"])
    message: str = Field(examples=["'ten' is no number"])


class QuestionView(View):
    """Something only a person knows; answer by `PATCH` with a member of this name."""

    field: str = Field(examples=["date_order"])
    why: str
    options: list[str]


class ProgressView(View):
    """How far an import has come."""

    rows: int
    executions: int
    percent: float = Field(ge=0, le=100)


class ImportView(View):
    """An import. `rows = imported + duplicates + ignored + errors` once it is done; one that failed imported nothing.

    `executions` are counted apart, as a row may tell of two.
    """

    id: UUID
    status: ImportStatus
    file_name: str
    broker: str | None = Field(examples=["tradovate"])
    format: str | None = Field(examples=["orders"])
    account_ids: list[UUID] = Field(description="The accounts that it went into.")
    timezone: str | None = Field(description="Where times that carry no zone were taken to be.")
    rows: int
    imported: int
    executions: int
    duplicates: int
    cash_movements: int
    ignored: list[Count]
    errors: list[RowError] = Field(description="At most 1000; `error_count` has them all.")
    error_count: int
    warnings: list[str]
    questions: list[QuestionView]
    progress: ProgressView
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None

    @classmethod
    def of(cls, record: ImportRecord) -> Self:
        """As its row has it."""
        return cls(
            id=record.id,
            status=record.status,
            file_name=record.file_name,
            broker=record.broker,
            format=record.format,
            account_ids=[UUID(each) for each in record.accounts],
            timezone=record.zone,
            rows=record.rows,
            imported=record.imported,
            executions=record.executions,
            duplicates=record.duplicates,
            cash_movements=record.cash,
            **_lists(vars_of(record)),
            error_count=record.error_count,
            warnings=list(record.warnings),
            progress=ProgressView(rows=record.rows, executions=record.executions, percent=record.percent),
            created_at=record.created_at,
            started_at=record.started_at,
            finished_at=record.finished_at,
        )


def vars_of(record: ImportRecord) -> Mapping[str, Sequence[Any]]:
    """The lists of an import's row."""
    return {"ignored": record.ignored, "errors": record.errors, "questions": record.questions}


def _lists(found: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    return {
        "ignored": [Count(**each) for each in found.get("ignored", ())],
        "errors": [RowError(**each) for each in found.get("errors", ())],
        "questions": [QuestionView(**each) for each in found.get("questions", ())],
    }


class ImportAnswers(Body):
    """Answers to what an import asks, and what else to do otherwise this time."""

    timezone: TimeZone | None = None
    date: Day | None = Field(default=None, description="The day of a file that has times alone.")
    date_order: DateOrder | None = Field(default=None, description="How 01/02/2026 reads.")
    mapping: Columns | None = None
    skip_errors: bool | None = Field(default=None, description="Take the rows that can be read.")
    suspected_duplicates: Suspected | None = None
    account_id: UUID | None = Field(default=None, description="The account that the file goes into.")

    def options(self) -> dict[str, Any]:
        """What was said, as an import's row keeps it."""
        return self.model_dump(mode="json", exclude_none=True, exclude={"account_id"})


class FillView(View):
    """An execution as a file tells it."""

    line: int
    symbol: str
    asset_class: AssetClass
    side: Side
    kind: ExecutionKind
    quantity: Money
    price: Money
    commission: Money
    fees: Money
    currency: str
    multiplier: Money
    executed_at: Timestamp
    local_time: str = Field(description="The file's own text.")
    account: str | None = Field(description="The account as the file names it.")

    @classmethod
    def of(cls, line: int, fill: Fill) -> Self:
        """From what an importer gave."""
        return cls(
            line=line,
            symbol=fill.instrument.symbol,
            asset_class=fill.instrument.asset_class,
            side=fill.side,
            kind=fill.kind,
            quantity=fill.quantity,
            price=fill.price,
            commission=fill.commission,
            fees=fill.fees,
            currency=fill.instrument.currency,
            multiplier=fill.instrument.multiplier,
            executed_at=fill.at,
            local_time=fill.local_time,
            account=fill.account,
        )


class CandidateView(View):
    """A format that the file may be."""

    broker: str
    format: str
    confidence: float = Field(ge=0, le=1)
    why: str


class SuggestionView(View):
    """A column for a field of an unknown table."""

    field: str
    column: str
    why: str


class PreviewView(View):
    """What an import of the file would find."""

    broker: str | None
    format: str | None
    candidates: list[CandidateView] = Field(description="What the file may be, the surest first.")
    timezone: str | None = Field(description="Where times that carry no zone are taken to be.")
    rows: int
    executions: int
    accounts: list[str] = Field(description="The accounts that the file names.")
    ignored: list[Count]
    errors: list[RowError]
    error_count: int
    warnings: list[str]
    questions: list[QuestionView]
    fills: list[FillView] = Field(description="The first executions.")
    suggested_mapping: list[SuggestionView]

    @classmethod
    def of(cls, preview: Preview) -> Self:
        """As it was found."""
        found = preview.found
        return cls(
            broker=found.get("broker"),
            format=found.get("format"),
            candidates=[
                CandidateView(
                    broker=each.format.broker,
                    format=each.format.name,
                    confidence=each.match.confidence,
                    why=each.match.why,
                )
                for each in preview.detected
            ],
            timezone=preview.zone,
            rows=found.get("rows", 0),
            executions=preview.executions,
            accounts=list(preview.accounts),
            **_lists(found),
            error_count=found.get("error_count", 0),
            warnings=found.get("warnings", []),
            fills=[FillView.of(*each) for each in preview.fills],
            suggested_mapping=[
                SuggestionView(field=each.field, column=each.column, why=each.why) for each in preview.suggestion
            ],
        )
