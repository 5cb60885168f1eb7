-- Gives a record of an access its number, its time and its place in the chain: its hash is over the hash
-- before it and all that it says, so no record can be changed, left out or put in without the rest showing it.
--
-- The row lock on access_chain makes records serial up to their commit: their numbers have no gaps.
-- As the owner, whoever records: the application may add a record and choose none of the three.
create function chain_access() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    last public.access_chain;
begin
    select * into strict last from public.access_chain for update;
    new.number := last.number + 1;
    new.at := clock_timestamp();
    -- What is hashed, as event_store/evidence/access_chain.py writes it too.
    new.hash := sha256(last.hash || convert_to(jsonb_build_array(
        new.number, (extract(epoch from new.at) * 1000000)::bigint, new.kind, new.actor_id,
        new.actor_role, new.request_id, new.action, new.asked, new.rows
    )::text, 'UTF8'));
    update public.access_chain set number = new.number, hash = new.hash;
    return new;
end
$$;
