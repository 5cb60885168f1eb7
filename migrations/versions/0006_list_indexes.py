"""Indexes for every filter and order of the lists; trigrams for those that look for a part."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# The extension comes with Postgres, and the owner of a database may create it (it is trusted).


def upgrade() -> None:
    """Add the indexes."""
    op.execute(
        """
        create extension if not exists pg_trgm with schema public;

        create index on users_v1 using gin (email gin_trgm_ops);
        create index on users_v1 (status, id);

        create index on products_v1 using gin (name gin_trgm_ops);
        create index on products_v1 (coalesce(stock, 9223372036854775807), id);
        create index on products_v1 (status, id);
        drop index products_v1_stock_id_idx;
        """
    )


def downgrade() -> None:
    """Drop them; the extension stays, as it may have been there before."""
    op.execute(
        """
        drop index users_v1_email_idx, users_v1_status_id_idx, products_v1_name_idx,
            products_v1_coalesce_id_idx, products_v1_status_id_idx;
        create index on products_v1 (stock, id);
        """
    )
