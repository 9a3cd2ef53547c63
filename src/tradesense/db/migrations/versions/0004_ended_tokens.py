"""The outbox tells which tokens of sessions have ended, too."""

import sqlalchemy as sa
from alembic import op

from tradesense.db import types

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("outbox", sa.Column("ended", types.Document(), nullable=True))


def downgrade() -> None:
    """Take back; an earlier version reads no word that it does not know."""
    op.execute("DELETE FROM outbox WHERE touches = 'tokens'")
    op.drop_column("outbox", "ended")
