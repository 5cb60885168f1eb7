-- Moves partitions of a view that stand at one position, if the caller still holds every one of them.
--
-- It is the first statement of the transaction that writes a page's rows. The row locks keep whoever wants
-- to take a partition over waiting until that transaction has ended; who comes too late finds another
-- token, and the exception (SQLSTATE DBK01) takes all that it wrote with it.
create or replace function move_partitions(
    of_name text, of_version integer, of_side text, partitions integer[], tokens bigint[],
    from_position bigint, to_position bigint
) returns void
language plpgsql as $$
declare
    moved integer;
begin
    update projection_checkpoints c
       set position = to_position, moved_at = clock_timestamp(), failure = null, trying = null,
           deaths = 0, crashes = case when to_position >= c.careful_until then 0 else c.crashes end
      from unnest(partitions, tokens) as held (partition, token)
     where c.name = of_name and c.version = of_version and c.side = of_side
       and c.partition = held.partition and c.token = held.token and c.position = from_position;
    get diagnostics moved = row_count;
    if moved <> cardinality(partitions) then
        raise exception 'A partition of % was taken over.', of_name using errcode = 'DBK01';
    end if;
end
$$;
