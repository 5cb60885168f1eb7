"""The index of history, made block by block behind the log, and who asked what of the log."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index, empty, and the record of accesses."""
    op.execute(
        """
        create table history_index (
            only_row boolean primary key default true check (only_row),
            blocks integer not null
        );
        insert into history_index (blocks) values (0);

        create table history_blocks (
            block integer primary key,
            occurred_from timestamptz not null,
            occurred_to timestamptz not null
        );

        create table history_postings (
            bucket integer not null,
            block integer not null,
            places bytea not null,
            primary key (bucket, block)
        );

        create table audit_accesses (
            number bigint generated always as identity primary key,
            at timestamptz not null default clock_timestamp(),
            actor_id text not null,
            actor_role text not null,
            request_id text not null,
            action text not null,
            asked jsonb not null,
            rows bigint not null
        );
        create index on audit_accesses (actor_id, number);
        create index on audit_accesses (action, number);

        create or replace function refuse_change() returns trigger language plpgsql as $$
        begin
            raise restrict_violation
                using message = format('What is in %s is never changed or removed.', tg_table_name);
        end
        $$;
        create trigger accesses_are_kept before update or delete or truncate on audit_accesses
            for each statement execute function refuse_change();
        """
    )


def downgrade() -> None:
    """Drop the index; it can be made again from the log. What was asked is forgotten."""
    op.execute("drop table audit_accesses, history_postings, history_blocks, history_index")
