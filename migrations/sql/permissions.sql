-- Says what the application may do; run after each migration, as the owner, and as often as one likes.
--
-- The application's role reads the log and appends to it by append_events, which acts as the owner. It may
-- do nothing else to events, positions and claims. All other tables are its own: it makes views anew.
do $$
declare
    one record;
    kept constant text[] := array[
        'events', 'log_head', 'unique_claims', 'idempotency_keys', 'alembic_version',
        'log_tree', 'log_tiles', 'log_heads', 'log_keys', 'audit_accesses', 'access_chain',
        'access_heads'
    ];
begin
    if not exists (select from pg_roles where rolname = 'daybook_app') then
        begin
            create role daybook_app nologin;
        exception
            when duplicate_object or unique_violation then null;  -- another database was faster
            when insufficient_privilege then
                raise insufficient_privilege using message = format(
                    'the role daybook_app is missing and %1$s may not create it; an administrator has to, '
                    'once: create role daybook_app; grant daybook_app to %1$s', current_user);
        end;
    end if;
    if not pg_has_role(current_user, 'daybook_app', 'usage') then
        execute format('grant daybook_app to %I', current_user);
    end if;

    grant usage, create on schema public to daybook_app;
    alter schema building owner to daybook_app;
    alter schema retired owner to daybook_app;
    alter schema waiting owner to daybook_app;
    for one in select nspname as name from pg_namespace where nspname ~ '^past_[0-9]+$' loop
        execute format('alter schema %I owner to daybook_app', one.name);
    end loop;

    for one in
        select c.oid::regclass as name, c.relname = any (kept) as is_kept, r.rolname as owner
          from pg_class c
          join pg_roles r on r.oid = c.relowner
         where c.relnamespace in (
                'public'::regnamespace, 'building'::regnamespace, 'retired'::regnamespace,
                'waiting'::regnamespace
               )
           and c.relkind in ('r', 'p', 'v')
    loop
        if one.is_kept then
            execute format('revoke all on %s from public, daybook_app', one.name);
            execute format('grant select on %s to daybook_app', one.name);
        elsif one.owner <> 'daybook_app' then
            execute format('alter table %s owner to daybook_app', one.name);
        end if;
    end loop;

    grant update, delete on idempotency_keys to daybook_app;
    grant update on log_tree to daybook_app;
    grant insert, update on log_tiles to daybook_app;
    grant insert on log_heads, log_keys, audit_accesses, access_heads to daybook_app;

    for one in
        select p.oid::regprocedure as name from pg_proc p
         where p.pronamespace = 'public'::regnamespace and p.proname = 'append_events'
    loop
        execute format('revoke all on function %s from public', one.name);
        execute format('grant execute on function %s to daybook_app', one.name);
    end loop;
end
$$;
