-- Destroys the key of somebody who is forgotten, in the transaction of the event that says so: there is no
-- moment, and no crash, between the two. What else is kept under the person's id goes with it.
--
-- The row stays as a tombstone, so that a key that is made for them at this moment comes too late.
create function forget_subject() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    insert into public.subject_keys as k (subject_id, forgotten_at)
    values (new.stream_id, new.recorded_at)
        on conflict (subject_id) do update
       set master = null, wrapped = null,
           forgotten_at = coalesce(k.forgotten_at, excluded.forgotten_at);
    delete from public.snapshots where stream_id = new.stream_id;
    delete from public.idempotency_keys where caller = new.stream_id::text;
    return null;
end
$$;
