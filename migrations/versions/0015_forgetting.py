"""Forgetting a person: the trigger that destroys the key, and how what is about them is found."""

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Create the trigger, the indexes and the reaction's checkpoint."""
    op.execute((SQL / "forget_subject.sql").read_text(encoding="utf-8"))
    op.execute(
        """
        create trigger forget_subject after insert on events
            for each row when (new.name = 'user.forgotten') execute function forget_subject();

        drop index events_ending_sessions;
        create index events_ending_sessions on events (position) where name in (
            'session.ended', 'user.password_changed', 'user.role_changed', 'user.closed',
            'user.forgotten'
        );

        -- The person is named in the encrypted text: sealed.1.<32 digits>.<nonce and ciphertext>
        create index events_about_buyers on events (
            substr(coalesce(data ->> 'text', data ->> 'reason', data ->> 'tracking_number'), 10, 32)
        ) where schema_version > 1 and name in (
            'order.shipped', 'order.cancelled', 'order.refunded', 'order.note_added'
        );

        insert into reaction_checkpoints (name, position, began)
            select 'erasure', position, position from log_head;
        """
    )


def downgrade() -> None:
    """Drop what was created; who is forgotten stays so."""
    op.execute(
        """
        delete from reaction_checkpoints where name = 'erasure';
        drop index events_about_buyers;
        drop index events_ending_sessions;
        create index events_ending_sessions on events (position) where name in (
            'session.ended', 'user.password_changed', 'user.role_changed', 'user.closed'
        );
        drop trigger forget_subject on events;
        drop function forget_subject();
        """
    )
