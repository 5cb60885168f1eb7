"""The Merkle tree over the log: how far it goes, its tiles, its signed heads, the keys of these."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tree, empty; the workers let it grow over the log."""
    op.execute(
        """
        create table log_tree (
            only_row boolean primary key default true check (only_row),
            log_id text not null default replace(gen_random_uuid()::text, '-', ''),
            size bigint not null
        );
        insert into log_tree (size) values (0);

        create table log_tiles (
            level integer not null,
            index bigint not null,
            hashes bytea not null,
            primary key (level, index)
        );
        -- Hashes cannot be compressed, and trying costs time.
        alter table log_tiles alter column hashes set storage external;

        create table log_heads (
            size bigint primary key,
            root bytea not null,
            signed_at timestamptz not null,
            note text not null
        );

        create table log_keys (
            public_key text primary key,
            first_used_at timestamptz not null default clock_timestamp()
        );
        """
    )


def downgrade() -> None:
    """Drop the tree; made again, it has other heads, and those that were published do not fit."""
    op.execute("drop table log_keys, log_heads, log_tiles, log_tree")
