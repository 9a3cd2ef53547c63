"""Who was last let in to do what one instance does for all: a row per such work."""

from sqlalchemy import BigInteger, Column, Table, Text, TypedColumns

from tradesense.db.tables.schema import metadata


class FenceColumns(TypedColumns):
    """The highest fencing token that has been seen for a piece of work, by its name; a lower one writes no more."""

    name = Column(Text, primary_key=True)
    fence = Column(BigInteger, nullable=False)


fences = Table("fences", metadata, FenceColumns)
