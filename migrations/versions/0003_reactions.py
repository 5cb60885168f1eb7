"""Where each reaction stands in the log, what failed it, and by when orders have to be paid."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# A reaction begins at the log's end as it is found here: switching it on mails nobody's history.


def upgrade() -> None:
    """Create the reactions' own tables."""
    op.execute(
        """
        create table reaction_checkpoints (
            name text primary key,
            position bigint not null,
            moved_at timestamptz not null default clock_timestamp(),
            attempts integer not null default 0,
            failure text,
            failed_at timestamptz,
            retry_at timestamptz
        ) with (fillfactor = 50);
        insert into reaction_checkpoints (name, position)
            select reaction.name, log_head.position
              from log_head
             cross join unnest(array[
                'welcome_mail', 'order_confirmation', 'shipment_mail', 'payment_deadline'
             ]) as reaction (name);

        -- An event whose effect failed: tried again at retry_at, or parked when there is none.
        create table reaction_failures (
            name text not null,
            position bigint not null,
            attempts integer not null,
            error text not null,
            first_at timestamptz not null default clock_timestamp(),
            last_at timestamptz not null default clock_timestamp(),
            retry_at timestamptz,
            primary key (name, position)
        );
        create index on reaction_failures (name, retry_at) where retry_at is not null;

        create table payment_deadlines (
            order_id uuid primary key,
            due_at timestamptz not null,
            placed_position bigint not null
        );
        create index on payment_deadlines (due_at);
        """
    )


def downgrade() -> None:
    """Drop what the reactions know; made again, they begin at the log's end."""
    op.execute("drop table reaction_failures, reaction_checkpoints, payment_deadlines")
