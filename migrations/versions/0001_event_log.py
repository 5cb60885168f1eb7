"""The event log: head, events, claims, keys, snapshots, and the one function that appends."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Create the log."""
    op.execute(
        """
        create table log_head (
            only_row boolean primary key default true check (only_row),
            position bigint not null,
            recorded_at timestamptz not null
        );
        insert into log_head (position, recorded_at) values (0, 'epoch');

        create table events (
            position bigint primary key,
            stream_id uuid not null,
            stream_type text not null,
            version integer not null check (version > 0),
            name text not null,
            schema_version smallint not null,
            data jsonb not null,
            actor_id text not null,
            actor_role text not null,
            request_id text not null,
            correlation_id text not null,
            causation_id bigint,
            command_id uuid not null,
            command text not null,
            occurred_at timestamptz not null,
            recorded_at timestamptz not null,
            constraint events_stream_version unique (stream_id, version)
        );
        create index events_ending_sessions on events (position) where name in (
            'session.ended', 'user.password_changed', 'user.role_changed', 'user.closed'
        );

        create table unique_claims (
            scope text not null,
            value text not null,
            stream_id uuid not null,
            primary key (scope, value)
        );

        create table idempotency_keys (
            caller text not null,
            key text not null,
            fingerprint text not null,
            answer text not null,
            position bigint not null,
            expires_at timestamptz not null,
            primary key (caller, key)
        );
        create index on idempotency_keys (expires_at);

        create table snapshots (
            stream_id uuid primary key,
            fingerprint text not null,
            version integer not null,
            tip uuid not null,
            state jsonb not null,
            made_at timestamptz not null default clock_timestamp()
        );
        """
    )
    op.execute((SQL / "append_events.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: the log is the one thing that is never dropped by a program."""
    msg = "The event log is never dropped by a migration."
    raise RuntimeError(msg)
