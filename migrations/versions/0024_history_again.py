"""The index of history, made again: its values are hashed otherwise, in half of the time."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

AFRESH = """
truncate history_postings, history_blocks;
update history_index set blocks = 0;
"""


def upgrade() -> None:
    """Empty it: workers make it again from the log."""
    op.execute(AFRESH)


def downgrade() -> None:
    """Empty it: workers of the release before make it as theirs."""
    op.execute(AFRESH)
