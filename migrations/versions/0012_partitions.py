"""Partitions of views with leases and fencing tokens, parked events, and the jobs of rebuilds."""

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"

# A view has three sides: live (tables in public), building and retired (in schemas of those names).
# In `waiting` are the empty tables of a view's next version until it has been built.


def upgrade() -> None:
    """Spread each checkpoint over partitions, and make what workers and rebuilds write to."""
    op.execute(
        """
        alter schema rebuilding rename to building;
        create schema retired;
        create schema waiting;

        create table projection_versions (
            name text not null,
            version integer not null,
            serves integer not null,
            tables text[] not null default '{}',
            paused_at timestamptz,
            primary key (name, version)
        );
        insert into projection_versions (name, version, serves)
            select name, version, version from projection_checkpoints;

        create table projection_workers (
            worker text primary key,
            host text not null,
            process integer not null,
            backend integer not null,
            backend_start timestamptz,
            posts text[] not null,
            seen_at timestamptz not null,
            expires_at timestamptz not null
        );
        create view projection_workers_alive as
            select w.* from projection_workers w
             where w.expires_at > clock_timestamp()
               and exists (
                    select from pg_stat_get_activity(w.backend) a
                     where coalesce(a.backend_start = w.backend_start, true)
               );

        alter table projection_checkpoints
            add side text not null default 'live' check (side in ('live', 'building', 'retired')),
            add partition integer not null default 0,
            add token bigint not null default 0,
            add holder text,
            add held_since timestamptz,
            add crashes integer not null default 0,
            add careful_until bigint not null default 0,
            add trying bigint,
            drop constraint projection_checkpoints_pkey,
            add primary key (name, version, side, partition);
        insert into projection_checkpoints (name, version, partition, position, moved_at)
            select name, version, number, position, moved_at
              from projection_checkpoints, generate_series(1, 3) as number;

        create table projection_failures (
            name text not null,
            version integer not null,
            side text not null,
            partition integer not null,
            key text not null,
            position bigint not null,
            attempts integer not null default 1,
            error text not null,
            traceback text not null,
            first_at timestamptz not null default clock_timestamp(),
            last_at timestamptz not null default clock_timestamp(),
            retried_at timestamptz,
            primary key (name, version, side, partition, key)
        );
        create table projection_parked (
            name text not null,
            version integer not null,
            side text not null,
            partition integer not null,
            key text not null,
            position bigint not null,
            primary key (name, version, side, partition, key, position)
        );

        create table projection_rebuilds (
            id bigint generated always as identity primary key,
            name text not null,
            version integer not null,
            state text not null,
            dry_run boolean not null,
            hold boolean not null,
            on_failure text not null check (on_failure in ('stop', 'park')),
            throttle double precision not null check (throttle > 0 and throttle <= 1),
            target bigint not null,
            started_at timestamptz not null default clock_timestamp(),
            finished_at timestamptz,
            swap_ms double precision,
            indexes jsonb not null,
            error text,
            rows jsonb,
            comparison jsonb
        );
        create unique index projection_rebuilds_unfinished on projection_rebuilds (name)
            where finished_at is null;
        """
    )
    op.execute((SQL / "move_partitions.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: what is parked would be lost with the tables that say so."""
    message = "Restore a backup, or make the views anew in a new database."
    raise RuntimeError(message)
