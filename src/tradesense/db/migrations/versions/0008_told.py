"""The outbox knows what is to be told beside the data's version: generations that began, and how imports ended."""

import sqlalchemy as sa
from alembic import op

from tradesense.db import types

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = ("published", "import_end")


def upgrade() -> None:
    """Apply."""
    for name in COLUMNS:
        op.add_column("outbox", sa.Column(name, types.Document(), nullable=True))


def downgrade() -> None:
    """Take back; an earlier version reads no word that it does not know."""
    op.execute("DELETE FROM outbox WHERE touches = 'nothing'")
    for name in COLUMNS:
        op.drop_column("outbox", name)
