"""Sign-ins as security records: who tried, from where, and what came of it."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Create the records and what counts failures."""
    op.execute(
        """
        create table sign_ins (
            number bigint generated always as identity primary key,
            at timestamptz not null default clock_timestamp(),
            kind text not null,
            account text,
            user_id uuid,
            session_id uuid,
            network text not null,
            address text not null,
            agent text not null,
            request_id text not null
        );
        create index on sign_ins (account, at)
            where kind in ('failed', 'signed_in', 'locked_out');
        create index on sign_ins (network, at) where kind = 'failed';
        create index on sign_ins (user_id, number);
        create index on sign_ins (kind, number);
        create index on sign_ins (address, number);
        create index on sign_ins (at);
        """
    )
    for name in ("sign_in_wait", "fail_sign_in"):
        op.execute((SQL / f"{name}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop the records."""
    op.execute(
        """
        drop function fail_sign_in, sign_in_wait;
        drop table sign_ins;
        """
    )
