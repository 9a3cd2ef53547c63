"""Background work: tasks, when periodic ones are due, and the business figures that one of them computes."""

import sqlalchemy as sa
from alembic import op

from tradesense.db import types

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "tasks",
        sa.Column("id", types.Identifier(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("payload", types.Document(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("run_after", types.UtcDateTime(), nullable=False),
        sa.Column("claimed_by", sa.Text()),
        sa.Column("claimed_until", types.UtcDateTime()),
        sa.Column("error", sa.Text()),
        sa.Column("traceparent", sa.Text()),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("finished_at", types.UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
    )
    op.create_index("ix_tasks_state_run_after", "tasks", ["state", "run_after"])
    op.create_index("ix_tasks_kind_subject", "tasks", ["kind", "subject"])
    op.create_table(
        "schedules",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("due_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_schedules"),
    )
    op.create_table(
        "business_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("active_users", sa.Integer(), nullable=False),
        sa.Column("imports", types.Document(), nullable=False),
        sa.Column("executions", sa.BigInteger(), nullable=False),
        sa.Column("trades", sa.BigInteger(), nullable=False),
        sa.Column("volume", types.Document(), nullable=False),
        sa.Column("computed_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_business_days"),
    )
    op.add_column("imports", sa.Column("traceparent", sa.Text()))


def downgrade() -> None:
    """Take back."""
    op.drop_column("imports", "traceparent")
    for name in ("business_days", "schedules", "tasks"):
        op.drop_table(name)
