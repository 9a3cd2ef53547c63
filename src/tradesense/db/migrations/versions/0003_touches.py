"""What of a user's data a write touches, so that copies of answers outlive the writes that do not concern them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

VERSIONS = ("ledger_version", "labels_version")


def upgrade() -> None:
    """Apply; what was written before counts as having touched everything."""
    for name in VERSIONS:
        op.add_column("users", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE users SET ledger_version = data_version, labels_version = data_version")
    op.add_column("outbox", sa.Column("touches", sa.Text(), server_default="ledger", nullable=False))


def downgrade() -> None:
    """Take back."""
    op.drop_column("outbox", "touches")
    for name in VERSIONS:
        op.drop_column("users", name)
