"""The keys of the people whom events are about, each wrapped by a master key that is not here."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the keys' table; who is forgotten has a row without a key."""
    op.execute(
        """
        create table subject_keys (
            subject_id uuid primary key,
            master text,
            wrapped bytea,
            made_at timestamptz not null default clock_timestamp(),
            forgotten_at timestamptz,
            check ((wrapped is null) = (forgotten_at is not null)),
            check ((wrapped is null) = (master is null))
        );
        create index on subject_keys (forgotten_at) where forgotten_at is not null;
        create index on subject_keys (master);
        """
    )


def downgrade() -> None:
    """Refuse: without the keys nothing personal in the log can be read again."""
    msg = "The keys of personal data are never dropped by a migration."
    raise RuntimeError(msg)
