"""Where trading happens: accounts, the instruments a user trades, and books, one per account and instrument."""

from typing import Any

from sqlalchemy import BigInteger, Column, Date, ForeignKey, Index, Integer, Table, Text, TypedColumns, UniqueConstraint

from tradesense.db.tables.schema import metadata, optional
from tradesense.db.types import Document, ExactDecimal, Identifier, UtcDateTime, Word, serial
from tradesense.domain.instruments import AssetClass, Right


class AccountColumns(TypedColumns):
    """An account at a broker. `label` is the broker's own name for it, as its files carry it.

    `formats` lists the file formats whose executions it has had (`tradovate/orders`).
    `generation` is what readers see; whoever writes the next one holds the claim (`claimed_by`, until it runs out).
    `version` counts edits, for If-Match.
    """

    id = Column(Identifier, primary_key=True)
    user_id = Column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), nullable=False)
    name = Column(Text, nullable=False)
    broker = optional(Text)
    label = optional(Text)
    currency = Column(Text, nullable=False)
    starting_balance = optional(ExactDecimal)
    timezone = optional(Text)
    method = Column(Text, nullable=False, server_default="fifo")
    fees: Column[dict[str, Any] | None] = Column(Document, nullable=True)
    multipliers: Column[dict[str, str] | None] = Column(Document, nullable=True)
    formats: Column[list[str]] = Column(Document, nullable=False, server_default="[]")
    generation = Column(BigInteger, nullable=False, server_default="0")
    claimed_by = optional(Text)
    claimed_until = optional(UtcDateTime)
    version = Column(Integer, nullable=False, server_default="1")
    created_at = Column(UtcDateTime, nullable=False)
    deleted_at = optional(UtcDateTime)


class InstrumentColumns(TypedColumns):
    """What a user trades. `key` is the canonical text of class, root, expiry, strike, right and currency."""

    id = Column(Identifier, primary_key=True)
    user_id = Column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), nullable=False)
    key = Column(Text, nullable=False)
    symbol = Column(Text, nullable=False)
    asset_class: Column[AssetClass] = Column(Word(AssetClass), nullable=False)
    root = Column(Text, nullable=False)
    underlying = optional(Text)
    expiry = optional(Date)
    strike = optional(ExactDecimal)
    right: Column[Right | None] = optional(Word(Right))
    currency = Column(Text, nullable=False)
    isin = optional(Text)


class AliasColumns(TypedColumns):
    """A name under which an instrument has come: `MNQM6` and `MNQ JUN26` are one."""

    user_id = Column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    symbol = Column(Text, primary_key=True)
    instrument_id = Column(Identifier, ForeignKey("instruments.id", ondelete="CASCADE"), primary_key=True)


class BookColumns(TypedColumns):
    """One account's dealings in one instrument. `multiplier` is money per point of price and unit of quantity."""

    id = Column(serial(), primary_key=True)
    account_id = Column(Identifier, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False)
    instrument_id = Column(Identifier, ForeignKey("instruments.id", ondelete="CASCADE"), nullable=False, index=True)
    multiplier = Column(ExactDecimal, nullable=False)


accounts = Table("accounts", metadata, AccountColumns, Index(None, "user_id", "broker", "label"))
instruments = Table("instruments", metadata, InstrumentColumns, UniqueConstraint("user_id", "key"))
instrument_aliases = Table("instrument_aliases", metadata, AliasColumns)
books = Table("books", metadata, BookColumns, UniqueConstraint("account_id", "instrument_id"))
