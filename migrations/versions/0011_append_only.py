"""The log is append-only: the append acts as the owner, and events are kept from the owner too."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"

# Who may do what is said in sql/permissions.sql, which is run after the migrations.


def upgrade() -> None:
    """Replace the append by one that the application's role can call, and guard the events."""
    op.execute((SQL / "append_events.sql").read_text(encoding="utf-8"))
    op.execute(
        """
        create function refuse_change() returns trigger language plpgsql as $$
        begin
            raise restrict_violation using message = 'Events are never changed or removed.';
        end
        $$;
        create trigger events_are_kept before update or delete or truncate on events
            for each statement execute function refuse_change();
        """
    )


def downgrade() -> None:
    """Let the owner change events again; the append stays as it is."""
    op.execute("drop trigger events_are_kept on events; drop function refuse_change")
