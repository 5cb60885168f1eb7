"""What users have spent and their last order, for version 2 of the API.

Accounts that are there already get theirs by `daybook projections rebuild users`.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.execute(
        """
        alter table users_v1
            add column spent jsonb not null default '{}',
            add column last_order jsonb;
        """
    )


def downgrade() -> None:
    """Drop them."""
    op.execute("alter table users_v1 drop column spent, drop column last_order")
