"""Decoded frames on request, and which queue a worker serves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("worker", sa.Column("queue", sa.Text(), server_default=sa.text("'runs'"), nullable=False))
    op.create_table(
        "sample_frames",
        sa.Column("sample_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("num_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("num_tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('queued', 'decoding', 'decoded', 'failed')", name=op.f("ck_sample_frames_state")),
        sa.ForeignKeyConstraint(
            ["sample_id"], ["sample.id"], name=op.f("fk_sample_frames_sample_id_sample"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sample_id", name=op.f("pk_sample_frames")),
    )
    op.create_index(
        "ix_sample_frames_unfinished",
        "sample_frames",
        ["state"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'decoding')"),
    )


def downgrade() -> None:
    op.drop_index("ix_sample_frames_unfinished", table_name="sample_frames")
    op.drop_table("sample_frames")
    op.drop_column("worker", "queue")
