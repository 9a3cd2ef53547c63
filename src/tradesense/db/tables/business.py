"""What the instance was used for, day by day."""

from typing import Any

from sqlalchemy import BigInteger, Column, Date, Integer, Table, TypedColumns

from tradesense.db.tables.schema import metadata
from tradesense.db.types import Document, UtcDateTime


class BusinessDayColumns(TypedColumns):
    """A day in UTC. `imports` counts those that ended by broker and result, `executions` what they brought.

    `trades` are those that closed on the day, and `volume` the sum of their results without sign, as text by currency.
    """

    day = Column(Date, primary_key=True)
    active_users = Column(Integer, nullable=False)
    imports: Column[dict[str, dict[str, int]]] = Column(Document, nullable=False)
    executions = Column(BigInteger, nullable=False)
    trades = Column(BigInteger, nullable=False)
    volume: Column[dict[str, Any]] = Column(Document, nullable=False)
    computed_at = Column(UtcDateTime, nullable=False)


business_days = Table("business_days", metadata, BusinessDayColumns)
