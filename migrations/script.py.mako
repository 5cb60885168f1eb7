"""${message}"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Say in SQL what changes."""
    op.execute("")


def downgrade() -> None:
    """Say in SQL how to go back."""
    op.execute("")
