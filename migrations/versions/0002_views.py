"""The read tables, their checkpoints, and the schema that rebuilds are made in."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Indexes have no names of their own: a rebuild copies them, and Postgres names the copies alike.


def upgrade() -> None:
    """Create the read tables, empty; the projections fill them from the log."""
    op.execute(
        """
        create schema rebuilding;

        create table projection_checkpoints (
            name text not null,
            version integer not null,
            position bigint not null default 0,
            moved_at timestamptz not null default clock_timestamp(),
            failure text,
            failed_at timestamptz,
            primary key (name, version)
        ) with (fillfactor = 50);
        insert into projection_checkpoints (name, version) values
            ('users', 1), ('products', 1), ('orders', 1),
            ('sales_by_day', 1), ('sales_by_product', 1), ('sales_by_customer', 1);

        create table users_v1 (
            id uuid primary key,
            email text not null,
            name text not null,
            role text not null,
            status text not null,
            created_at timestamptz not null,
            updated_at timestamptz not null,
            version integer not null,
            last_login_at timestamptz,
            sessions jsonb not null,
            orders integer not null
        );
        create index on users_v1 (created_at, id);
        create index on users_v1 (updated_at, id);
        create index on users_v1 (email, id);
        create index on users_v1 (name, id);
        create index on users_v1 (role, id);

        create table products_v1 (
            id uuid primary key,
            sku text not null,
            name text not null,
            currency text not null,
            price numeric not null,
            stock bigint,
            status text not null,
            created_at timestamptz not null,
            updated_at timestamptz not null,
            version integer not null
        );
        create index on products_v1 (created_at, id);
        create index on products_v1 (updated_at, id);
        create index on products_v1 (sku, id);
        create index on products_v1 (name, id);
        create index on products_v1 (price, id);
        create index on products_v1 (stock, id);

        create table orders_v1 (
            id uuid primary key,
            user_id uuid not null,
            status text not null,
            reference text,
            currency text not null,
            total numeric not null,
            units integer not null,
            lines jsonb not null,
            product_ids uuid[] not null,
            placed_at timestamptz not null,
            updated_at timestamptz not null,
            payment jsonb,
            shipment jsonb,
            delivered_at timestamptz,
            cancellation jsonb,
            refund jsonb,
            notes jsonb not null,
            version integer not null
        );
        create index on orders_v1 (placed_at, id);
        create index on orders_v1 (updated_at, id);
        create index on orders_v1 (total, id);
        create index on orders_v1 (status, placed_at, id);
        create index on orders_v1 (user_id, placed_at, id);
        create index on orders_v1 using gin (product_ids);

        create table sales_by_day_v1 (
            day date not null,
            currency text not null,
            orders integer not null,
            units bigint not null,
            revenue numeric not null,
            primary key (day, currency)
        );

        create table sales_by_product_v1 (
            product_id uuid not null,
            day date not null,
            currency text not null,
            orders integer not null,
            units bigint not null,
            revenue numeric not null,
            primary key (product_id, day, currency)
        );
        create index on sales_by_product_v1 (day);
        create table sales_by_product_names_v1 (
            product_id uuid primary key,
            sku text not null,
            name text not null
        );

        create table sales_by_customer_v1 (
            user_id uuid not null,
            day date not null,
            currency text not null,
            orders integer not null,
            units bigint not null,
            revenue numeric not null,
            primary key (user_id, day, currency)
        );
        create index on sales_by_customer_v1 (day);
        create table sales_by_customer_names_v1 (
            user_id uuid primary key,
            name text not null
        );
        """
    )


def downgrade() -> None:
    """Drop the views; they can be made again from the log."""
    op.execute(
        """
        drop schema rebuilding cascade;
        drop table projection_checkpoints, users_v1, products_v1, orders_v1, sales_by_day_v1,
            sales_by_product_v1, sales_by_product_names_v1,
            sales_by_customer_v1, sales_by_customer_names_v1;
        """
    )
