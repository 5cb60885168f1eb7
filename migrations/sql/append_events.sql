-- Appends a batch of commands to the log, each of them whole or not at all, as if one after the other.
--
-- The row lock on log_head makes appends serial up to their commit: positions have no gaps and their
-- order is the order of commits, so a reader can never pass an event that commits late. What is checked
-- under the lock (versions, claims) therefore stays true until the rows are there.
--
-- A stream is checked by its version and, where the command's reader knew it, by the command that wrote
-- that version (its tip): so a command that was decided on what another is about to append is refused
-- when that other one is, even if somebody else's events have brought the stream to the same version.
--
-- A command may have an idempotency key. The first to come under a key leaves its answer with it; to the
-- others that answer is given, and nothing of theirs is appended. No batch has a key twice.
--
-- Answers one row a command, in order: verdict `appended` with its last position; `conflict` with the
-- number of the check that failed and the version found; `claimed` with the number of the claim;
-- `repeated` with the fingerprint, answer and position of the first command under the key.
create or replace function public.append_events(
    -- one element a command
    command_ids uuid[], actor_ids text[], actor_roles text[], request_ids text[],
    correlation_ids text[], causation_ids bigint[], command_names text[], occurred_ats timestamptz[],
    -- one element a command, null without a key
    key_callers text[], key_values text[], key_fingerprints text[], key_answers text[],
    key_expiries timestamptz[],
    -- one element a stream
    stream_ids uuid[], stream_types text[],
    -- one element for each stream that a command has read: the version it saw, the events it adds
    check_commands int[], check_streams int[], check_versions int[], check_tips uuid[],
    check_events int[],
    -- one element for each value that a command claims (or, not kept, gives back)
    claim_commands int[], claim_scopes text[], claim_values text[], claim_streams uuid[],
    claim_kept boolean[],
    -- one element an event
    event_commands int[], event_streams int[], event_versions int[], event_names text[],
    event_schemas int[], event_data text[]
) returns table (
    verdict text, culprit int, actual int, last_position bigint, stamp timestamptz,
    first_fingerprint text, first_answer text
)
-- As the owner, whoever calls: the application may call this and write the log in no other way. Names in
-- public are written out, so that nothing that somebody puts there is taken for one of Postgres's own.
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    head bigint;
    now_recorded timestamptz;
    versions int[];
    tips uuid[];
    first_positions bigint[];
    first_fingerprints text[];
    first_answers text[];
    keyed boolean := cardinality(array_remove(key_values, null)) > 0;
    accepted boolean[] := '{}';
    checks int := coalesce(cardinality(check_commands), 0);
    claims int := coalesce(cardinality(claim_commands), 0);
    first_check int := 1;
    first_claim int := 1;
    next_check int := 1;
    next_claim int := 1;
    before bigint;
    refused boolean := false;
begin
    select h.position, greatest(h.recorded_at, clock_timestamp())
      into strict before, now_recorded
      from public.log_head h for update;
    head := before;

    select array_agg(coalesce(latest.version, 0) order by s.number),
           array_agg(latest.command_id order by s.number)
      into versions, tips
      from unnest(stream_ids) with ordinality as s (id, number)
      left join lateral (
          select e.version, e.command_id from public.events e
           where e.stream_id = s.id
           order by e.version desc limit 1
      ) latest on true;

    if keyed then
        select array_agg(k.position order by c.number),
               array_agg(k.fingerprint order by c.number),
               array_agg(k.answer order by c.number)
          into first_positions, first_fingerprints, first_answers
          from unnest(key_callers, key_values) with ordinality as c (caller, key, number)
          left join public.idempotency_keys k
            on k.caller = c.caller and k.key = c.key and k.expires_at > now_recorded;
    end if;

    for command in 1 .. cardinality(command_ids) loop
        verdict := 'appended'; culprit := null; actual := null;
        first_fingerprint := null; first_answer := null;
        if keyed and first_positions[command] is not null then
            verdict := 'repeated';
            first_fingerprint := first_fingerprints[command];
            first_answer := first_answers[command];
        end if;
        first_check := next_check;
        while next_check <= checks and check_commands[next_check] = command loop
            if verdict = 'appended'
               and (versions[check_streams[next_check]] <> check_versions[next_check]
                    or tips[check_streams[next_check]] <> check_tips[next_check]) then
                verdict := 'conflict';
                culprit := next_check;
                actual := versions[check_streams[next_check]];
            end if;
            next_check := next_check + 1;
        end loop;

        first_claim := next_claim;
        while next_claim <= claims and claim_commands[next_claim] = command loop
            if verdict = 'appended' and claim_kept[next_claim] and exists (
                select from public.unique_claims u
                 where u.scope = claim_scopes[next_claim]
                   and u.value = claim_values[next_claim]
                   and u.stream_id <> claim_streams[next_claim]
            ) then
                verdict := 'claimed';
                culprit := next_claim;
            end if;
            next_claim := next_claim + 1;
        end loop;

        if verdict = 'appended' then
            for number in first_check .. next_check - 1 loop
                if check_events[number] > 0 then
                    versions[check_streams[number]] :=
                        versions[check_streams[number]] + check_events[number];
                    tips[check_streams[number]] := command_ids[command];
                    head := head + check_events[number];
                end if;
            end loop;
            for number in first_claim .. next_claim - 1 loop
                if claim_kept[number] then
                    insert into public.unique_claims (scope, value, stream_id)
                    values (claim_scopes[number], claim_values[number], claim_streams[number])
                    on conflict (scope, value) do nothing;
                else
                    delete from public.unique_claims u
                     where u.scope = claim_scopes[number]
                       and u.value = claim_values[number]
                       and u.stream_id = claim_streams[number];
                end if;
            end loop;
        else
            refused := true;
        end if;
        accepted[command] := verdict = 'appended';
        last_position := case verdict when 'appended' then head
                                      when 'repeated' then first_positions[command] end;
        if keyed then
            first_positions[command] := last_position;
        end if;
        stamp := now_recorded;
        return next;
    end loop;

    insert into public.events (
        position, stream_id, stream_type, version, name, schema_version, data,
        actor_id, actor_role, request_id, correlation_id, causation_id, command_id, command,
        occurred_at, recorded_at
    )
    select before + row_number() over (order by e.number),
           stream_ids[e.stream], stream_types[e.stream], e.version, e.name, e.schema_version,
           e.data::jsonb,
           actor_ids[e.command], actor_roles[e.command], request_ids[e.command],
           correlation_ids[e.command], causation_ids[e.command], command_ids[e.command],
           command_names[e.command],
           coalesce(occurred_ats[e.command], now_recorded), now_recorded
      from unnest(event_commands, event_streams, event_versions, event_names, event_schemas, event_data)
           with ordinality
           as e (command, stream, version, name, schema_version, data, number)
     where not refused or accepted[e.command];

    if keyed then
        insert into public.idempotency_keys as k (caller, key, fingerprint, answer, position, expires_at)
        select c.caller, c.key, c.fingerprint, c.answer, first_positions[c.number], c.expires_at
          from unnest(key_callers, key_values, key_fingerprints, key_answers, key_expiries)
               with ordinality as c (caller, key, fingerprint, answer, expires_at, number)
         where c.key is not null and accepted[c.number]
            on conflict (caller, key) do update
           set fingerprint = excluded.fingerprint, answer = excluded.answer,
               position = excluded.position, expires_at = excluded.expires_at
         where k.expires_at <= now_recorded;
    end if;

    if head > before then
        update public.log_head set position = head, recorded_at = now_recorded;
    end if;
end
$$;
