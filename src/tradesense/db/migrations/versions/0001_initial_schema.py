"""The initial schema. The way back is a backup: no version takes a table away."""

import sqlalchemy as sa
from alembic import op

from tradesense.db import types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


FOREVER = str(1 << 62)
LIVE = sa.text(f"died = {FOREVER}")
OPEN = sa.text("closed_at IS NULL")
DEAD = sa.text(f"died < {FOREVER}")
GENERATIONS = ("executions", "execution_sources", "cash_movements", "cash_sources", "segments", "trades")


def _generations() -> tuple[sa.Column[int], sa.Column[int]]:
    return (
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("died", sa.BigInteger(), server_default=FOREVER, nullable=False),
    )


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "audit",
        sa.Column("id", types.serial(), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("user_id", types.Identifier()),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("ip", sa.Text()),
        sa.Column("details", types.Document()),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_user_id_at", "audit", ["user_id", "at"])
    op.create_table(
        "cash_movements",
        *_generations(),
        sa.Column("id", types.Identifier(), nullable=False),
        sa.Column("account_id", types.Identifier(), nullable=False),
        sa.Column("identity", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", types.ExactDecimal(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("local_time", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.PrimaryKeyConstraint("id", "born", name="pk_cash_movements"),
    )
    op.create_index("ix_cash_movements_at", "cash_movements", ["account_id", "at", "id"])
    op.create_table(
        "cash_sources",
        *_generations(),
        sa.Column("import_id", types.Identifier(), nullable=False),
        sa.Column("cash_id", types.Identifier(), nullable=False),
        sa.Column("account_id", types.Identifier(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "cash_id", "import_id", "born", name="pk_cash_sources"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "execution_sources",
        *_generations(),
        sa.Column("import_id", types.Identifier(), nullable=False),
        sa.Column("execution_id", types.Identifier(), nullable=False),
        sa.Column("account_id", types.Identifier(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "execution_id", "import_id", "born", name="pk_execution_sources"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "files",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_files"),
    )
    op.create_table(
        "users",
        sa.Column("id", types.Identifier(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), server_default="user", nullable=False),
        sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("currency", sa.Text(), server_default="USD", nullable=False),
        sa.Column("data_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("disabled_at", types.UtcDateTime()),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "accounts",
        sa.Column("id", types.Identifier(), nullable=False),
        sa.Column("user_id", types.Identifier(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("broker", sa.Text()),
        sa.Column("label", sa.Text()),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("starting_balance", types.ExactDecimal()),
        sa.Column("timezone", sa.Text()),
        sa.Column("method", sa.Text(), server_default="fifo", nullable=False),
        sa.Column("fees", types.Document()),
        sa.Column("multipliers", types.Document()),
        sa.Column("formats", types.Document(), server_default="[]", nullable=False),
        sa.Column("generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("claimed_by", sa.Text()),
        sa.Column("claimed_until", types.UtcDateTime()),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("deleted_at", types.UtcDateTime()),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_accounts_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
    )
    op.create_index("ix_accounts_user_id_broker_label", "accounts", ["user_id", "broker", "label"])
    op.create_table(
        "idempotency",
        sa.Column("user_id", types.Identifier(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("headers", types.Document()),
        sa.Column("answer", sa.LargeBinary()),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_idempotency_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"])
    op.create_table(
        "instruments",
        sa.Column("id", types.Identifier(), nullable=False),
        sa.Column("user_id", types.Identifier(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("asset_class", sa.Text(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("underlying", sa.Text()),
        sa.Column("expiry", sa.Date()),
        sa.Column("strike", types.ExactDecimal()),
        sa.Column("right", sa.Text()),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("isin", sa.Text()),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_instruments_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_instruments"),
        sa.UniqueConstraint("user_id", "key", name="uq_instruments_user_id_key"),
    )
    op.create_table(
        "journal_entries",
        sa.Column("user_id", types.Identifier(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("content", types.Document(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_journal_entries_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "date", name="pk_journal_entries"),
    )
    op.create_table(
        "mappings",
        sa.Column("id", types.Identifier(), nullable=False),
        sa.Column("user_id", types.Identifier(), nullable=False),
        sa.Column("header", sa.Text(), nullable=False),
        sa.Column("mapping", types.Document(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_mappings_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_mappings"),
        sa.UniqueConstraint("user_id", "header", name="uq_mappings_user_id_header"),
    )
    op.create_table(
        "playbooks",
        sa.Column("id", types.Identifier(), nullable=False),
        sa.Column("user_id", types.Identifier(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column("rules", types.Document(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.Column("deleted_at", types.UtcDateTime()),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_playbooks_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_playbooks"),
    )
    op.create_index("ix_playbooks_user_id", "playbooks", ["user_id"])
    op.create_table(
        "sessions",
        sa.Column("id", types.Identifier(), nullable=False),
        sa.Column("user_id", types.Identifier(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("ip", sa.Text()),
        sa.Column("user_agent", sa.Text()),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("absolute_expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("revoked_at", types.UtcDateTime()),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("token_hash", name="uq_sessions_token_hash"),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "tags",
        sa.Column("id", types.Identifier(), nullable=False),
        sa.Column("user_id", types.Identifier(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_tags_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_tags"),
        sa.UniqueConstraint("user_id", "name", name="uq_tags_user_id_name"),
    )
    op.create_table(
        "annotations",
        sa.Column("execution_id", types.Identifier(), nullable=False),
        sa.Column("user_id", types.Identifier(), nullable=False),
        sa.Column("account_id", types.Identifier(), nullable=False),
        sa.Column("notes", sa.Text()),
        sa.Column("playbook_id", types.Identifier()),
        sa.Column("rating", sa.Integer()),
        sa.Column("initial_risk", types.ExactDecimal()),
        sa.Column("mistakes", types.Document(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_annotations_account_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["playbook_id"], ["playbooks.id"], name="fk_annotations_playbook_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_annotations_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("execution_id", name="pk_annotations"),
    )
    op.create_index("ix_annotations_account_id", "annotations", ["account_id"])
    op.create_index("ix_annotations_playbook_id", "annotations", ["playbook_id"])
    op.create_index("ix_annotations_user_id", "annotations", ["user_id"])
    op.create_table(
        "books",
        sa.Column("id", types.serial(), nullable=False),
        sa.Column("account_id", types.Identifier(), nullable=False),
        sa.Column("instrument_id", types.Identifier(), nullable=False),
        sa.Column("multiplier", types.ExactDecimal(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_books_account_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instruments.id"], name="fk_books_instrument_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_books"),
        sa.UniqueConstraint("account_id", "instrument_id", name="uq_books_account_id_instrument_id"),
    )
    op.create_index("ix_books_instrument_id", "books", ["instrument_id"])
    op.create_table(
        "imports",
        sa.Column("id", types.Identifier(), nullable=False),
        sa.Column("user_id", types.Identifier(), nullable=False),
        sa.Column("account_id", types.Identifier()),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("broker", sa.Text()),
        sa.Column("format", sa.Text()),
        sa.Column("options", types.Document(), nullable=False),
        sa.Column("accounts", types.Document(), nullable=False),
        sa.Column("zone", sa.Text()),
        sa.Column("rows", sa.Integer(), server_default="0", nullable=False),
        sa.Column("imported", sa.Integer(), server_default="0", nullable=False),
        sa.Column("executions", sa.Integer(), server_default="0", nullable=False),
        sa.Column("duplicates", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cash", sa.Integer(), server_default="0", nullable=False),
        sa.Column("ignored", types.Document(), nullable=False),
        sa.Column("errors", types.Document(), nullable=False),
        sa.Column("error_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("warnings", types.Document(), nullable=False),
        sa.Column("questions", types.Document(), nullable=False),
        sa.Column("percent", sa.Float(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claimed_by", sa.Text()),
        sa.Column("claimed_until", types.UtcDateTime()),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("started_at", types.UtcDateTime()),
        sa.Column("finished_at", types.UtcDateTime()),
        sa.Column("deleted_at", types.UtcDateTime()),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_imports_account_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["sha256"], ["files.sha256"], name="fk_imports_sha256"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_imports_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_imports"),
    )
    op.create_index("ix_imports_sha256", "imports", ["sha256"])
    op.create_index("ix_imports_status_claimed_until", "imports", ["status", "claimed_until"])
    op.create_index("ix_imports_user_id_created_at", "imports", ["user_id", "created_at"])
    op.create_table(
        "instrument_aliases",
        sa.Column("user_id", types.Identifier(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("instrument_id", types.Identifier(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instruments.id"], name="fk_instrument_aliases_instrument_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_instrument_aliases_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "symbol", "instrument_id", name="pk_instrument_aliases"),
    )
    op.create_table(
        "annotation_tags",
        sa.Column("execution_id", types.Identifier(), nullable=False),
        sa.Column("tag_id", types.Identifier(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["annotations.execution_id"], name="fk_annotation_tags_execution_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tag_id"], ["tags.id"], name="fk_annotation_tags_tag_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("execution_id", "tag_id", name="pk_annotation_tags"),
    )
    op.create_index("ix_annotation_tags_tag_id", "annotation_tags", ["tag_id"])
    op.create_table(
        "executions",
        *_generations(),
        sa.Column("id", types.Identifier(), nullable=False),
        sa.Column("account_id", types.Identifier(), nullable=False),
        sa.Column("book_id", sa.BigInteger(), nullable=False),
        sa.Column("identity", sa.LargeBinary(), nullable=False),
        sa.Column("order_key", sa.LargeBinary(), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("quantity", types.ExactDecimal(), nullable=False),
        sa.Column("price", types.ExactDecimal(), nullable=False),
        sa.Column("commission", types.ExactDecimal(), nullable=False),
        sa.Column("fees", types.ExactDecimal(), nullable=False),
        sa.Column("fx_to_account", types.ExactDecimal()),
        sa.Column("broker", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("identity_kind", sa.Text()),
        sa.Column("local_time", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("deleted_at", types.UtcDateTime()),
        sa.ForeignKeyConstraint(["book_id"], ["books.id"], name="fk_executions_book_id"),
        sa.PrimaryKeyConstraint("id", "born", name="pk_executions"),
    )
    op.create_index("ix_executions_at", "executions", ["account_id", "at", "id"])
    op.create_index("ix_executions_book", "executions", ["book_id", "order_key"])
    op.create_table(
        "segments",
        *_generations(),
        sa.Column("book_id", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("account_id", types.Identifier(), nullable=False),
        sa.Column("first", sa.LargeBinary(), nullable=False),
        sa.Column("last", sa.LargeBinary(), nullable=False),
        sa.Column("executions", sa.Integer(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["book_id"], ["books.id"], name="fk_segments_book_id"),
        sa.PrimaryKeyConstraint("book_id", "ordinal", "born", name="pk_segments"),
    )
    op.create_index("ix_segments_account", "segments", ["account_id"])
    if op.get_bind().dialect.name == "postgresql":
        # Packed columns hardly shrink, and every answer would unpack them again: twice as fast to read.
        op.execute("ALTER TABLE segments ALTER COLUMN blob SET STORAGE EXTERNAL")
    op.create_table(
        "trades",
        *_generations(),
        sa.Column("id", types.Identifier(), nullable=False),
        sa.Column("account_id", types.Identifier(), nullable=False),
        sa.Column("book_id", sa.BigInteger(), nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("anchor", types.Identifier(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("opened_at", types.UtcDateTime(), nullable=False),
        sa.Column("closed_at", types.UtcDateTime()),
        sa.Column("first", sa.LargeBinary(), nullable=False),
        sa.Column("last", sa.LargeBinary(), nullable=False),
        sa.Column("max_quantity", types.ExactDecimal(), nullable=False),
        sa.Column("entry_quantity", types.ExactDecimal(), nullable=False),
        sa.Column("entry_value", types.ExactDecimal(), nullable=False),
        sa.Column("exit_quantity", types.ExactDecimal(), nullable=False),
        sa.Column("exit_value", types.ExactDecimal(), nullable=False),
        sa.Column("open_quantity", types.ExactDecimal(), nullable=False),
        sa.Column("open_value", types.ExactDecimal(), nullable=False),
        sa.Column("gross", types.ExactDecimal(), nullable=False),
        sa.Column("costs", types.ExactDecimal(), nullable=False),
        sa.Column("net", types.ExactDecimal(), nullable=False),
        sa.Column("open_costs", types.ExactDecimal(), nullable=False),
        sa.Column("executions", sa.Integer(), nullable=False),
        sa.Column("net_sort", sa.Double(), sa.Computed(types.real_twin(sa.column("net")), persisted=True)),
        sa.Column(
            "quantity_sort", sa.Double(), sa.Computed(types.real_twin(sa.column("max_quantity")), persisted=True)
        ),
        sa.ForeignKeyConstraint(["book_id"], ["books.id"], name="fk_trades_book_id"),
        sa.PrimaryKeyConstraint("id", "born", name="pk_trades"),
    )
    op.create_index("ix_trades_book", "trades", ["book_id", "first"])
    op.create_index("ix_trades_open", "trades", ["account_id", "closed_at"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_index("ix_trades_net", "trades", ["account_id", "net_sort", "id"])
    op.create_index("ix_trades_opened", "trades", ["account_id", "opened_at", "id"])
    for table in ("executions", "cash_movements"):
        name, columns = f"uq_{table}_identity", ["account_id", "identity"]
        op.create_index(name, table, columns, unique=True, sqlite_where=LIVE, postgresql_where=LIVE)
    for table in GENERATIONS:
        op.create_index(f"ix_{table}_dead", table, ["account_id", "died"], sqlite_where=DEAD, postgresql_where=DEAD)
