"""The outbox: a row per write of a user's data, for those who keep copies of answers."""

import sqlalchemy as sa
from alembic import op

from tradesense.db import types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


UNDONE = sa.text("done_at IS NULL")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "outbox",
        sa.Column("id", types.serial(), nullable=False),
        sa.Column("xid", sa.BigInteger()),
        sa.Column("user_id", types.Identifier(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("accounts", types.Document()),
        sa.Column("origin", types.Identifier(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("done_at", types.UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_xid", "outbox", ["xid"])
    op.create_index("ix_outbox_done_at", "outbox", ["done_at"])
    op.create_index("ix_outbox_undone", "outbox", ["id"], sqlite_where=UNDONE, postgresql_where=UNDONE)


def downgrade() -> None:
    """Take back."""
    op.drop_table("outbox")
