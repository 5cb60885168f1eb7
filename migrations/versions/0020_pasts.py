"""Views as they were: twelve places for their tables, and what is in each of them."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

SLOTS = range(1, 13)


def upgrade() -> None:
    """Create the places and their register; all of it may be lost, as it can be made anew."""
    for slot in SLOTS:
        op.execute(f"create schema past_{slot}")
    op.execute(
        """
        create unlogged table pasts (
            id bigint generated always as identity primary key,
            slot integer not null unique check (slot between 1 and 12),
            name text not null,
            version integer not null,
            upto bigint not null,
            happened timestamptz,
            state text not null default 'waiting'
                check (state in ('waiting', 'folding', 'indexing', 'ready', 'failed')),
            position bigint not null default 0,
            whole boolean not null default true,
            asked_at timestamptz not null default clock_timestamp(),
            began_at timestamptz,
            ready_at timestamptz,
            used_at timestamptz not null default clock_timestamp()
        )
        """
    )


def downgrade() -> None:
    """Drop them with all that is there."""
    op.execute("drop table pasts")
    for slot in SLOTS:
        op.execute(f"drop schema past_{slot} cascade")
