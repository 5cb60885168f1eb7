"""What came of a decision about a reaction is no act of an operator's: it is recorded as none."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

NOTED = """
drop trigger note_operation on events;
create trigger note_operation after insert on events for each row when (
    new.name = 'user.forgotten'
    or new.stream_type in ('projection_control', 'reaction_control', 'administrators')
       and new.name not in ({})
) execute function note_operation();
"""


def upgrade() -> None:
    """Except the end of a decision, as that of what is asked of a projection."""
    op.execute(NOTED.format("'projection.operation_ended', 'reaction.operation_ended'"))


def downgrade() -> None:
    """Except only the latter."""
    op.execute(NOTED.format("'projection.operation_ended'"))
