"""Read tables filled by SQL, uneven as life is: a few who buy much, rare states, rare words."""

from psycopg import Connection
from psycopg.rows import TupleRow

USERS = """
insert into users_v2
       (id, email, name, role, status, created_at, updated_at, version, sessions, orders)
select lpad(to_hex(n), 32, '0')::uuid,
       substr(md5(n::text), 1, 10) || n || '@example.com',
       'Person ' || substr(md5('name' || n), 1, 8),
       case when n %% 5000 = 0 then 'admin' when n %% 500 = 0 then 'staff' else 'customer' end,
       case when n %% 2000 = 0 then 'closed' else 'active' end,
       timestamptz '2025-01-01' + n * interval '1 minute',
       timestamptz '2026-01-01' + (n::bigint * 7919 %% 500000) * interval '1 minute',
       1, '{}', n %% 7
  from generate_series(1, %s) n
"""

PRODUCTS = """
insert into products_v1
       (id, sku, name, currency, price, stock, status, created_at, updated_at, version)
select lpad(to_hex(n + (1 << 28)), 32, '0')::uuid,
       'SKU-' || n,
       substr(md5('thing' || n), 1, 12) || ' lamp ' || n,
       'GBP',
       (n::bigint * 7919 %% 100000) / 100.0,
       case when n %% 10 = 0 then null when n %% 1000 = 1 then 0 else n %% 500 + 1 end,
       case when n %% 1000 = 7 then 'withdrawn' else 'for_sale' end,
       timestamptz '2025-01-01' + n * interval '1 minute',
       timestamptz '2026-01-01' + (n::bigint * 7919 %% 500000) * interval '1 minute',
       1
  from generate_series(1, %s) n
"""

# The square of a random number: the first users and products have far more than the last.
ORDERS = """
insert into orders_v1
       (id, user_id, status, currency, total, units, lines, product_ids, placed_at, updated_at,
        notes, version)
select lpad(to_hex(n + (1 << 29)), 32, '0')::uuid,
       lpad(to_hex(1 + floor(power(random(), 2) * %(users)s)::int), 32, '0')::uuid,
       case when n %% 5000 = 0 then 'refunded' when n %% 100 = 0 then 'placed'
            when n %% 7 = 0 then 'shipped' else 'delivered' end,
       'GBP', (n::bigint * 7919 %% 1000000) / 100.0, 1,
       jsonb_build_array(jsonb_build_object(
           'productId', lpad(to_hex((1 << 28) + n), 32, '0')::uuid, 'sku', 'SKU-' || n,
           'name', 'lamp ' || n, 'quantity', 1,
           'unitPrice', jsonb_build_object('amount', '2.50', 'currency', 'GBP'),
           'amount', jsonb_build_object('amount', '2.50', 'currency', 'GBP'))),
       array(select lpad(to_hex((1 << 28) + 1 + place), 32, '0')::uuid
               from unnest(array[floor(power(random(), 2) * %(products)s)::int,
                                 floor(power(random(), 2) * %(products)s)::int]) place),
       timestamptz '2025-01-01' + n * interval '20 seconds',
       timestamptz '2025-01-01' + (n::bigint * 7919 %% 2000000) * interval '20 seconds',
       '[]', 1
  from generate_series(1, %(orders)s) n
"""


def fill(connection: Connection[TupleRow], *, users: int, products: int, orders: int) -> None:
    """Fill the empty read tables and tell the planner."""
    connection.execute("set statement_timeout = 0")
    connection.execute(USERS, [users])
    connection.execute(PRODUCTS, [products])
    connection.execute(ORDERS, {"users": users, "products": products, "orders": orders})
    for table in ("users_v2", "products_v1", "orders_v1"):
        connection.execute(f"vacuum analyze {table}".encode())
