"""The checkpoint of the reaction to operators' decisions."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Begin at the log's end: nothing was decided before."""
    op.execute(
        """
        insert into reaction_checkpoints (name, position, began)
            select 'operator_decisions', position, position from log_head
        """
    )


def downgrade() -> None:
    """Forget it; made again, it begins at the log's end."""
    op.execute("delete from reaction_checkpoints where name = 'operator_decisions'")
