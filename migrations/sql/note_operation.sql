-- Records an erasure or what an operator asks for among the accesses, in the transaction of its event.
--
-- The words of operators (why they did it) stay in the event alone, which its position leads to.
create function note_operation() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into public.audit_accesses (kind, actor_id, actor_role, request_id, action, asked, rows)
    values (
        case new.name when 'user.forgotten' then 'erasure' else 'operation' end,
        new.actor_id, new.actor_role, new.request_id, new.name,
        new.data - 'reason' || jsonb_build_object('logPosition', new.position, 'streamId', new.stream_id),
        1
    );
    return null;
end
$$;
