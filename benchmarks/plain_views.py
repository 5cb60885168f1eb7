"""Views made in SQL alone: what somebody would write who has the log in Postgres and no Daybook."""

ORDERS = """
insert into plain.orders_v1 (
    id, user_id, status, reference, currency, total, units, lines, product_ids, placed_at,
    updated_at, payment, shipment, delivered_at, cancellation, refund, notes, version
)
select e.stream_id, (e.data ->> 'user_id')::uuid, 'placed', null,
       e.data #>> '{total,currency}', (e.data #>> '{total,amount}')::numeric,
       l.units, l.lines, l.product_ids, (e.data ->> 'placed_at')::timestamptz,
       e.occurred_at, null, null, null, null, null, '[]', e.version
  from events e
 cross join lateral (
        select sum((x ->> 'quantity')::integer) as units,
               array_agg(distinct (x ->> 'product_id')::uuid) as product_ids,
               jsonb_agg(jsonb_build_object(
                   'productId', x -> 'product_id', 'sku', x -> 'sku', 'name', x -> 'name',
                   'quantity', x -> 'quantity',
                   'unitPrice', jsonb_build_object(
                       'amount', x -> 'unit_price', 'currency', e.data #> '{total,currency}'),
                   'amount', jsonb_build_object(
                       'amount', x -> 'amount', 'currency', e.data #> '{total,currency}')
               )) as lines
          from jsonb_array_elements(e.data -> 'lines') x
       ) l
 where e.name = 'order.placed' and e.position > %(after)s and e.position <= %(upto)s
"""

SALES_BY_DAY = """
insert into plain.sales_by_day_v1 as s (day, currency, orders, units, revenue)
select ((e.data ->> 'placed_at')::timestamptz at time zone 'UTC')::date as day,
       e.data #>> '{total,currency}' as currency, count(*), sum(l.units),
       sum((e.data #>> '{total,amount}')::numeric)
  from events e
 cross join lateral (
        select sum((x ->> 'quantity')::integer) as units
          from jsonb_array_elements(e.data -> 'lines') x
       ) l
 where e.name = 'order.placed' and e.position > %(after)s and e.position <= %(upto)s
 group by 1, 2
    on conflict (day, currency) do update
   set orders = s.orders + excluded.orders, units = s.units + excluded.units,
       revenue = s.revenue + excluded.revenue
"""

SALES_BY_CUSTOMER = """
with names as (
    insert into plain.sales_by_customer_names_v1 (user_id, name)
    select distinct on (e.stream_id) e.stream_id, e.data ->> 'name'
      from events e
     where e.name in ('user.registered', 'user.imported', 'user.renamed')
       and e.position > %(after)s and e.position <= %(upto)s
     order by e.stream_id, e.position desc
        on conflict (user_id) do update set name = excluded.name
)
insert into plain.sales_by_customer_v1 as s (user_id, day, currency, orders, units, revenue)
select (e.data ->> 'user_id')::uuid as user_id,
       ((e.data ->> 'placed_at')::timestamptz at time zone 'UTC')::date as day,
       e.data #>> '{total,currency}' as currency, count(*), sum(l.units),
       sum((e.data #>> '{total,amount}')::numeric)
  from events e
 cross join lateral (
        select sum((x ->> 'quantity')::integer) as units
          from jsonb_array_elements(e.data -> 'lines') x
       ) l
 where e.name = 'order.placed' and e.position > %(after)s and e.position <= %(upto)s
 group by 1, 2, 3
    on conflict (user_id, day, currency) do update
   set orders = s.orders + excluded.orders, units = s.units + excluded.units,
       revenue = s.revenue + excluded.revenue
"""

PLAIN = {"orders": ORDERS, "sales_by_day": SALES_BY_DAY, "sales_by_customer": SALES_BY_CUSTOMER}
"""The statement of each view that can be said in one, for the events of a stretch of the log."""
