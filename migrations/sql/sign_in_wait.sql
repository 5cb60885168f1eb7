-- Says for how long an account, or a network, may not try to sign in: until the oldest of its last `most`
-- failures is older than `span`. Null: it may. A success makes an account's failures before it count no more,
-- but not those of the network: whoever has an account could guess at others between two successes.
create function sign_in_wait(accounts text[], from_network text, most int, span interval)
returns interval
language sql volatile as $$
    with of_account as (
        select f.at from sign_ins f
         where f.account = any(accounts) and f.kind = 'failed'
           and f.at > clock_timestamp() - span
           and f.at > coalesce((
               select max(s.at) from sign_ins s
                where s.account = any(accounts) and s.kind = 'signed_in'
                  and s.at > clock_timestamp() - span
           ), '-infinity')
         order by f.at desc limit most
    ), of_network as (
        select f.at from sign_ins f
         where f.network = from_network and f.kind = 'failed' and f.at > clock_timestamp() - span
         order by f.at desc limit most
    )
    select nullif(greatest(
        (select min(a.at) from of_account a having count(*) = most),
        (select min(n.at) from of_network n having count(*) = most)
    ) + span - clock_timestamp(), interval '0')
$$;
