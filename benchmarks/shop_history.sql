-- Events of a shop at positions {first} up to {last}, as they would be after two years: products, then customers
-- who come one by one, order, sign in, and are served by twenty people; each order goes its way over some hours.
-- Six events make a turn; an order is paid ten turns after it was placed, shipped after 60, delivered after 300.
insert into events (
    position, stream_id, stream_type, version, name, schema_version, data, actor_id, actor_role, request_id,
    correlation_id, causation_id, command_id, command, occurred_at, recorded_at
)
with numbered as (
    select n, (n - 1 - {products}) / 6 as turn,
           case when n <= {products} then -1 else (n - 1 - {products}) % 6 end as slot,
           timestamptz '2025-01-01T00:00Z' + n * interval '6 seconds' as at
      from generate_series({first}::bigint, {last}::bigint) as n
), told as (
    select *,
           case slot when 0 then turn when 1 then turn - 10 when 2 then turn - 60 when 3 then turn - 300
                     when 5 then turn - 1000 end as ordered,
           case when slot = -1 then 'listed'
                when slot = 0 then 'placed'
                when slot = 1 and turn >= 10 then 'paid'
                when slot = 2 and turn >= 60 then 'shipped'
                when slot = 3 and turn >= 300 then 'delivered'
                when slot = 4 then 'reserved'
                when slot = 5 and turn % 4 = 0 then 'registered'
                when slot = 5 and turn % 4 = 1 then 'repriced'
                when slot = 5 and turn % 4 = 2 and turn >= 1000 then 'noted'
                else 'started' end as what
      from numbered offset 0
), peopled as (
    select *, coalesce(ordered, turn) as o,
           -- Some buy often: the square of an even spread, over all who have come by then.
           case when what = 'registered' then turn / 4
                else floor(power((hashint8(coalesce(ordered, turn)) & 65535) / 65536.0, 2)
                           * (coalesce(ordered, turn) / 4))::bigint end as customer
      from told offset 0
), named as (
    select *,
           case when what = 'listed' then n - 1 else turn % {products} end as product,
           '018cc251-f400-7000-8000-' || lpad(to_hex(customer), 12, '0') as user_id,
           'f400-7000-8000-' || lpad(to_hex(n % 20), 12, '0') as staff_tail,
           lpad(to_hex(1735689600000 + o * 36000), 12, '0') as ordered_hex,
           md5('o' || o) as order_hash,
           md5('r' || n) as request_hash
      from peopled offset 0
), keyed as (
    select *, '018bcfe5-' || staff_tail as staff_id,
           '018aaaaa-0000-7000-8000-' || lpad(to_hex(product), 12, '0') as product_id,
           (substr(ordered_hex, 1, 8) || '-' || substr(ordered_hex, 9, 4) || '-7' || substr(order_hash, 1, 3) || '-8'
            || substr(order_hash, 4, 3) || '-' || substr(order_hash, 7, 12)) as order_id,
           1 + o % 9 as quantity
      from named offset 0
)
select n,
       case when what in ('placed', 'paid', 'shipped', 'delivered', 'noted') then order_id::uuid
            when what in ('listed', 'reserved', 'repriced') then product_id::uuid
            when what = 'registered' then user_id::uuid
            else request_hash::uuid end,
       case when what in ('placed', 'paid', 'shipped', 'delivered', 'noted') then 'order'
            when what in ('listed', 'reserved', 'repriced') then 'product'
            when what = 'registered' then 'user'
            else 'session' end,
       case what when 'paid' then 2 when 'shipped' then 3 when 'delivered' then 4 when 'noted' then 5
                 when 'reserved' then 2 + turn / {products} * case when product % 4 = 1 then 2 else 1 end
                 when 'repriced' then 3 + turn / {products} * 2
                 else 1 end,
       case what when 'listed' then 'product.listed' when 'placed' then 'order.placed' when 'paid' then 'order.paid'
                 when 'shipped' then 'order.shipped' when 'delivered' then 'order.delivered'
                 when 'noted' then 'order.note_added' when 'reserved' then 'product.stock_reserved'
                 when 'registered' then 'user.registered' when 'repriced' then 'product.repriced'
                 else 'session.started' end,
       case when what in ('shipped', 'noted', 'registered') then 2 else 1 end,
       case what
           when 'listed' then format(
               '{{"sku":"A-%s","name":"Thing no. %s","price":{{"amount":"2.55","currency":"GBP"}},"stock":1000000}}',
               product, product)
           when 'placed' then format(
               '{{"user_id":"%s","placed_at":"%s","lines":[%s%s],"total":{{"amount":"%s","currency":"GBP"}}}}',
               user_id, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
               format('{{"product_id":"%s","sku":"A-%s","name":"Thing no. %s","quantity":%s,"unit_price":"2.55",'
                      '"amount":"%s","reserved":true}}', product_id, product, product, quantity, quantity * 2.55),
               case when o % 3 <> 0 then
                   format(',{{"product_id":"018aaaaa-0000-7000-8000-%s","sku":"A-%s","name":"Thing no. %s",'
                          '"quantity":1,"unit_price":"10.00","amount":"10.00","reserved":false}}',
                          lpad(to_hex(o * 7 % {products}), 12, '0'), o * 7 % {products}, o * 7 % {products})
               else '' end,
               quantity * 2.55 + case when o % 3 <> 0 then 10 else 0 end)
           when 'paid' then format('{{"reference":"bank-%s","amount":{{"amount":"%s","currency":"GBP"}}}}',
               o, quantity * 2.55 + case when o % 3 <> 0 then 10 else 0 end)
           when 'shipped' then format('{{"carrier":"Royal Mail","tracking_number":"sealed.1.%s.%s"}}',
               replace(user_id, '-', ''), substr(request_hash, 1, 30))
           when 'delivered' then '{{}}'
           when 'noted' then format('{{"text":"sealed.1.%s.%s%s"}}', replace(user_id, '-', ''), request_hash, order_hash)
           when 'reserved' then format('{{"order_id":"%s","quantity":%s}}', order_id, quantity)
           when 'repriced' then format('{{"price":{{"amount":"%s","currency":"GBP"}}}}', round(2 + turn % 400 / 100.0, 2))
           when 'registered' then format(
               '{{"email":"sealed.1.%1$s.%2$s","name":"sealed.1.%1$s.%2$s","password_hash":"sealed.1.%1$s.%2$s%2$s%2$s",'
               '"role":"customer"}}', replace(user_id, '-', ''), request_hash)
           else format('{{"user_id":"%s","user_version":1,"refresh_digest":"%s%s","expires_at":"%s"}}',
               user_id, request_hash, order_hash,
               to_char((at + interval '7 days') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
       end::jsonb,
       case when what in ('placed', 'reserved', 'registered', 'started') then user_id else staff_id end,
       case when what in ('placed', 'reserved', 'registered', 'started') then 'customer' else 'staff' end,
       request_hash,
       case when what in ('placed', 'paid', 'shipped', 'delivered', 'noted', 'reserved') then order_hash
            else request_hash end,
       case when what in ('paid', 'shipped', 'delivered') then {products} + o * 6 + 1 end,
       request_hash::uuid,
       case what when 'listed' then 'ListProduct' when 'placed' then 'PlaceOrder' when 'paid' then 'PayOrder'
                 when 'shipped' then 'ShipOrder' when 'delivered' then 'DeliverOrder' when 'noted' then 'AddNote'
                 when 'reserved' then 'PlaceOrder' when 'registered' then 'RegisterUser'
                 when 'repriced' then 'ChangeProduct' else 'Login' end,
       -- Every tenth stretch came from elsewhere: it had happened two months before.
       at - case when turn / 20000 % 10 = 9 then interval '60 days' else interval '0' end,
       at
  from keyed
