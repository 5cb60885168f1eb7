"""Read tables filled by SQL, uneven as life is: a few who buy much, rare states, rare words."""

from psycopg import Connection, sql
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
  from generate_series(1, %(users)s) n
"""

PRODUCTS = """
insert into products_v1
       (id, sku, name, currency, price, stock, status, created_at, updated_at, version)
select lpad(to_hex(n + (1 << 28)), 32, '0')::uuid,
       'SKU-' || n,
       substr(md5('thing' || n), 1, 12) || ' lamp ' || n,
       'GBP',
       abs(hashint4(n)::bigint) %% 100000 / 100.0,
       case when n %% 10 = 0 then null when n %% 1000 = 1 then 0 else n %% 500 + 1 end,
       case when n %% 1000 = 7 then 'withdrawn' else 'for_sale' end,
       timestamptz '2025-01-01' + n * interval '1 minute',
       timestamptz '2026-01-01' + (n::bigint * 7919 %% 500000) * interval '1 minute',
       1
  from generate_series(1, %(products)s) n
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
       'GBP', abs(hashint4(n)::bigint) %% 1000000 / 100.0, 1,
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


INDEXES = """
select indexname, indexdef from pg_indexes
 where schemaname = 'public' and tablename = %s and indexname not like '%%pkey'
"""


def fill(connection: Connection[TupleRow], *, users: int, products: int, orders: int) -> None:
    """Fill the empty read tables, index what is there and tell the planner."""
    connection.execute("set statement_timeout = 0")
    connection.execute("set maintenance_work_mem = '256MB'")
    numbers = {"users": users, "products": products, "orders": orders}
    for table, statement in (("users_v2", USERS), ("products_v1", PRODUCTS), ("orders_v1", ORDERS)):
        indexes = connection.execute(INDEXES, [table]).fetchall()
        for name, _ in indexes:
            connection.execute(sql.SQL("drop index {}").format(sql.Identifier(name)))
        connection.execute(statement, numbers)
        for _, definition in indexes:
            connection.execute(definition.encode())
        connection.execute(f"vacuum analyze {table}".encode())
