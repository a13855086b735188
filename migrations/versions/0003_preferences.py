"""Label tasks: pairs, raters, votes, flags, and who holds which pair."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _label_tasks()
    op.create_table(
        "pair_hold",
        sa.Column("pair_id", sa.Uuid(), nullable=False),
        sa.Column("rater_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        *_of_pair_and_rater("pair_hold"),
        sa.PrimaryKeyConstraint("pair_id", "rater_id", name=op.f("pk_pair_hold")),
    )
    op.create_index("ix_pair_hold_rater_id", "pair_hold", ["rater_id"], unique=False)
    op.create_table(
        "pair_flag",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pair_id", sa.Uuid(), nullable=False),
        sa.Column("rater_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        *_of_pair_and_rater("pair_flag"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pair_flag")),
    )
    op.create_index("ix_pair_flag_pair_id", "pair_flag", ["pair_id"], unique=False)
    _votes()


def _label_tasks() -> None:
    op.create_table(
        "label_task",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("guidelines", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("source", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("votes_per_pair", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status IN ('open', 'closed')", name=op.f("ck_label_task_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_task")),
    )
    op.create_index("ix_label_task_created_at_id", "label_task", ["created_at", "id"], unique=False)
    op.create_table(
        "label_pair",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("label_task_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=True),
        sa.Column("side_0", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("side_1", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("is_gold", sa.Boolean(), nullable=False),
        sa.Column("known", sa.Text(), nullable=True),
        sa.Column("num_votes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sum_first", sa.Float(), server_default=sa.text("0"), nullable=False),
        _of_task("label_pair"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_pair")),
        sa.UniqueConstraint("label_task_id", "index", name=op.f("uq_label_pair_label_task_id_index")),
    )
    op.create_table(
        "rater",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("label_task_id", sa.Uuid(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("shuffle", sa.Integer(), nullable=False),
        sa.Column("is_simulated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_excluded", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_revoked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        _of_task("rater"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rater")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_rater_token_hash")),
    )
    op.create_index("ix_rater_label_task_id_id", "rater", ["label_task_id", "id"], unique=False)


def _votes() -> None:
    op.create_table(
        "vote",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("label_task_id", sa.Uuid(), nullable=False),
        sa.Column("pair_id", sa.Uuid(), nullable=False),
        sa.Column("rater_id", sa.Uuid(), nullable=False),
        sa.Column("choice", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("is_swapped", sa.Boolean(), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("guideline_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        _of_task("vote"),
        *_of_pair_and_rater("vote"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vote")),
    )
    op.create_index(
        "uq_vote_standing",
        "vote",
        ["rater_id", "pair_id"],
        unique=True,
        postgresql_where=sa.text("undone_at IS NULL"),
    )
    op.create_index("ix_vote_label_task_id_created_at_id", "vote", ["label_task_id", "created_at", "id"], unique=False)
    op.create_index("ix_vote_pair_id", "vote", ["pair_id"], unique=False)


def _of_task(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_label_task_id_label_task")
    return sa.ForeignKeyConstraint(["label_task_id"], ["label_task.id"], name=name, ondelete="CASCADE")


def _of_pair_and_rater(table: str) -> tuple[sa.ForeignKeyConstraint, sa.ForeignKeyConstraint]:
    pair, rater = (op.f(f"fk_{table}_{name}") for name in ("pair_id_label_pair", "rater_id_rater"))
    return (
        sa.ForeignKeyConstraint(["pair_id"], ["label_pair.id"], name=pair, ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name=rater, ondelete="CASCADE"),
    )


def downgrade() -> None:
    for table in ("vote", "pair_flag", "pair_hold", "rater", "label_pair", "label_task"):
        op.drop_table(table)
