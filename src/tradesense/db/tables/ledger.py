"""What happened and what came of it, by generation: executions, cash movements, their sources, segments, trades."""

from sqlalchemy import (
    BigInteger,
    Column,
    Computed,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    column,
    literal_column,
    text,
)

from tradesense.db.tables.schema import GenerationColumns, index_of_the_dead, live, metadata, optional
from tradesense.db.types import ExactDecimal, Identifier, UtcDateTime, Word, real_twin
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.trades import Direction


class ExecutionColumns(GenerationColumns):
    """One fill. `local_time` and `zone` are as the file wrote them; `broker` and `format` say which file format did.

    `identity` (16 bytes) names the fill within its account, `identity_kind` says by what (null: by its own values and
    ordinal); `order_key` (32 bytes) sorts its book. `deleted_at` is set where a person deleted it.
    """

    id = Column(Identifier, nullable=False)
    account_id = Column(Identifier, nullable=False)
    book_id = Column(BigInteger, ForeignKey("books.id"), nullable=False)
    identity = Column(LargeBinary, nullable=False)
    order_key = Column(LargeBinary, nullable=False)
    at = Column(UtcDateTime, nullable=False)
    side: Column[Side] = Column(Word(Side), nullable=False)
    kind: Column[ExecutionKind] = Column(Word(ExecutionKind), nullable=False)
    quantity = Column(ExactDecimal, nullable=False)
    price = Column(ExactDecimal, nullable=False)
    commission = Column(ExactDecimal, nullable=False)
    fees = Column(ExactDecimal, nullable=False)
    fx_to_account = optional(ExactDecimal)
    broker = Column(Text, nullable=False)
    format = Column(Text, nullable=False)
    identity_kind = optional(Text)
    local_time = Column(Text, nullable=False)
    zone = Column(Text, nullable=False)
    deleted_at = optional(UtcDateTime)


class ExecutionSourceColumns(GenerationColumns):
    """Which import brought an execution, and from which line; an execution goes with its last source.

    `sequence` is the place that this file gives it among the executions of its instant; the least one counts, so that
    the order in which overlapping files come makes no difference.
    """

    import_id = Column(Identifier, nullable=False)
    execution_id = Column(Identifier, nullable=False)
    account_id = Column(Identifier, nullable=False)
    line = Column(Integer, nullable=False)
    sequence = Column(BigInteger, nullable=False)


class CashMovementColumns(GenerationColumns):
    """Money in (positive) or out (negative) without a trade: dividend, interest, deposit, fee, conversion."""

    id = Column(Identifier, nullable=False)
    account_id = Column(Identifier, nullable=False)
    identity = Column(LargeBinary, nullable=False)
    kind = Column(Text, nullable=False)
    amount = Column(ExactDecimal, nullable=False)
    currency = Column(Text, nullable=False)
    at = Column(UtcDateTime, nullable=False)
    local_time = Column(Text, nullable=False)
    zone = Column(Text, nullable=False)
    description = Column(Text, nullable=False, server_default=text("''"))


class CashSourceColumns(GenerationColumns):
    """Which import brought a cash movement, and from which line."""

    import_id = Column(Identifier, nullable=False)
    cash_id = Column(Identifier, nullable=False)
    account_id = Column(Identifier, nullable=False)
    line = Column(Integer, nullable=False)


class SegmentColumns(GenerationColumns):
    """A run of a book's executions that begins and ends flat (the last may end open).

    `first` and `last` are order keys, both included; `blob` is the packed ledger columns of the segment's trades and
    realisations (`domain.ledger`).
    """

    book_id = Column(BigInteger, ForeignKey("books.id"), nullable=False)
    ordinal = Column(Integer, nullable=False)
    account_id = Column(Identifier, nullable=False)
    first = Column(LargeBinary, nullable=False)
    last = Column(LargeBinary, nullable=False)
    executions = Column(Integer, nullable=False)
    blob = Column(LargeBinary, nullable=False)


class TradeColumns(GenerationColumns):
    """A round trip, for lists, filters and cursors: the fields of `domain.trades.Trade`, and float twins to sort by.

    `segment` is the ordinal of the segment that holds it.
    """

    id = Column(Identifier, nullable=False)
    account_id = Column(Identifier, nullable=False)
    book_id = Column(BigInteger, ForeignKey("books.id"), nullable=False)
    segment = Column(Integer, nullable=False)
    anchor = Column(Identifier, nullable=False)
    direction: Column[Direction] = Column(Word(Direction), nullable=False)
    opened_at = Column(UtcDateTime, nullable=False)
    closed_at = optional(UtcDateTime)
    first = Column(LargeBinary, nullable=False)
    last = Column(LargeBinary, nullable=False)
    max_quantity = Column(ExactDecimal, nullable=False)
    entry_quantity = Column(ExactDecimal, nullable=False)
    entry_value = Column(ExactDecimal, nullable=False)
    exit_quantity = Column(ExactDecimal, nullable=False)
    exit_value = Column(ExactDecimal, nullable=False)
    open_quantity = Column(ExactDecimal, nullable=False)
    open_value = Column(ExactDecimal, nullable=False)
    gross = Column(ExactDecimal, nullable=False)
    costs = Column(ExactDecimal, nullable=False)
    net = Column(ExactDecimal, nullable=False)
    open_costs = Column(ExactDecimal, nullable=False)
    executions = Column(Integer, nullable=False)
    net_sort = Column(Double, Computed(real_twin(column("net")), persisted=True))
    quantity_sort = Column(Double, Computed(real_twin(column("max_quantity")), persisted=True))


executions = Table(
    "executions",
    metadata,
    ExecutionColumns,
    PrimaryKeyConstraint("id", "born"),
    Index(
        "uq_executions_identity", "account_id", "identity", unique=True, sqlite_where=live(), postgresql_where=live()
    ),
    Index("ix_executions_book", "book_id", "order_key"),
    Index("ix_executions_at", "account_id", "at", "id"),
    index_of_the_dead("executions"),
)
execution_sources = Table(
    "execution_sources",
    metadata,
    ExecutionSourceColumns,
    PrimaryKeyConstraint("account_id", "execution_id", "import_id", "born"),
    index_of_the_dead("execution_sources"),
    sqlite_with_rowid=False,
)
cash_movements = Table(
    "cash_movements",
    metadata,
    CashMovementColumns,
    PrimaryKeyConstraint("id", "born"),
    Index(
        "uq_cash_movements_identity",
        "account_id",
        "identity",
        unique=True,
        sqlite_where=live(),
        postgresql_where=live(),
    ),
    Index("ix_cash_movements_at", "account_id", "at", "id"),
    index_of_the_dead("cash_movements"),
)
cash_sources = Table(
    "cash_sources",
    metadata,
    CashSourceColumns,
    PrimaryKeyConstraint("account_id", "cash_id", "import_id", "born"),
    index_of_the_dead("cash_sources"),
    sqlite_with_rowid=False,
)
segments = Table(
    "segments",
    metadata,
    SegmentColumns,
    PrimaryKeyConstraint("book_id", "ordinal", "born"),
    Index("ix_segments_account", "account_id"),
    index_of_the_dead("segments"),
)
still_open = literal_column("closed_at").is_(None)  # in the index as well, or SQLite would prefer another one
trades = Table(
    "trades",
    metadata,
    TradeColumns,
    PrimaryKeyConstraint("id", "born"),
    Index("ix_trades_book", "book_id", "first"),
    Index("ix_trades_opened", "account_id", "opened_at", "id"),
    Index("ix_trades_open", "account_id", "closed_at", sqlite_where=still_open, postgresql_where=still_open),
    Index("ix_trades_net", "account_id", "net_sort", "id"),
    index_of_the_dead("trades"),
)
