"""Where each reaction began, and the checkpoint of the integration events."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Note where reactions begin; integration events begin at the log's end as it is found here."""
    op.execute(
        """
        alter table reaction_checkpoints add column began bigint;
        insert into reaction_checkpoints (name, position)
            select 'integration_events', position from log_head;
        update reaction_checkpoints set began = position;
        alter table reaction_checkpoints alter column began set not null;
        """
    )


def downgrade() -> None:
    """Forget it; made again, they begin at the log's end."""
    op.execute(
        """
        delete from reaction_checkpoints where name = 'integration_events';
        alter table reaction_checkpoints drop column began;
        """
    )
