-- Records a failed sign-in, unless it is one too many: then nothing is recorded, and the wait is returned.
--
-- The locks make attempts on one account, and from one network, come one after the other, so that of any
-- number at once exactly as many as are allowed are told that the password is wrong. The account's lock is
-- always taken first: there is no deadlock.
create function fail_sign_in(
    accounts text[], from_network text, most int, span interval,
    of_user uuid, from_address text, with_agent text, in_request text
) returns interval
language plpgsql volatile as $$
declare
    wait interval;
begin
    if most is not null then
        perform pg_advisory_xact_lock(1, hashtext(accounts[1]));
        perform pg_advisory_xact_lock(2, hashtext(from_network));
        wait := sign_in_wait(accounts, from_network, most, span);
        if wait > interval '0' then
            return wait;
        end if;
    end if;
    insert into sign_ins (kind, account, network, user_id, address, agent, request_id)
    values ('failed', accounts[1], from_network, of_user, from_address, with_agent, in_request);
    return null;
end
$$;
