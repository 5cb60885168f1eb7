"""The index of history: old blocks are bound into volumes, times of happening are kept finer."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make a place for volumes, and say of each 256 indexed events when they happened."""
    op.execute(
        """
        alter table history_index add volumes integer not null default 0;

        -- `blocks` has the numbers of the blocks in it, `lengths` how much of `places` is of each.
        create table history_volumes (
            bucket integer not null,
            volume integer not null,
            blocks integer[] not null,
            lengths integer[] not null,
            places bytea not null,
            primary key (bucket, volume)
        );
        -- Bitmaps and numbers do not get shorter.
        alter table history_volumes alter places set storage external;
        alter table history_postings alter places set storage external;

        create table history_stretches (
            stretch integer primary key,
            occurred_from timestamptz not null,
            occurred_to timestamptz not null
        );
        set local statement_timeout = 0;
        insert into history_stretches (stretch, occurred_from, occurred_to)
        select (position - 1) / 256, min(occurred_at), max(occurred_at)
          from events where position <= (select blocks * 16384::bigint from history_index)
         group by 1;
        drop table history_blocks;
        """
    )


def downgrade() -> None:
    """Empty the index: workers of the release before make it again from the log."""
    op.execute(
        """
        drop table history_volumes, history_stretches;
        alter table history_index drop column volumes;
        truncate history_postings;
        update history_index set blocks = 0;
        create table history_blocks (
            block integer primary key,
            occurred_from timestamptz not null,
            occurred_to timestamptz not null
        );
        """
    )
