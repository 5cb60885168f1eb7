"""Accesses are numbered without gaps and chained by hashes, erasures and operations too."""

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Make the chain over the records that are there, without words that may tell of a person."""
    op.execute(
        """
        alter table audit_accesses rename to former_accesses;
        create table access_chain (
            only_row boolean primary key default true check (only_row),
            number bigint not null,
            hash bytea not null
        );
        insert into access_chain (number, hash) values (0, sha256(''::bytea));

        create table audit_accesses (
            number bigint primary key,
            at timestamptz not null,
            kind text not null,
            actor_id text not null,
            actor_role text not null,
            request_id text not null,
            action text not null,
            asked jsonb not null,
            rows bigint not null,
            hash bytea not null
        );
        create index on audit_accesses (actor_id, number);
        create index on audit_accesses (action, number);
        create index on audit_accesses (kind, number);

        create table access_heads (
            number bigint primary key,
            hash bytea not null,
            signed_at timestamptz not null,
            note text not null
        );
        """
    )
    for name in ("chain_access", "note_operation"):
        op.execute((SQL / f"{name}.sql").read_text(encoding="utf-8"))
    op.execute(
        """
        create trigger chain_access before insert on audit_accesses
            for each row execute function chain_access();
        -- Their times are those of this migration; when they were is in what was asked.
        insert into audit_accesses (kind, actor_id, actor_role, request_id, action, asked, rows)
        select case when action like 'export%' then 'export' else 'question' end,
               actor_id, actor_role, request_id, action,
               jsonb_build_object('formerNumber', number, 'formerTime', at), rows
          from former_accesses order by number;
        drop table former_accesses;
        create trigger accesses_are_kept before update or delete or truncate on audit_accesses
            for each statement execute function refuse_change();
        create trigger access_heads_are_kept before update or delete or truncate on access_heads
            for each statement execute function refuse_change();

        create trigger note_operation after insert on events for each row when (
            new.name = 'user.forgotten'
            or new.stream_type in ('projection_control', 'reaction_control', 'administrators')
               and new.name <> 'projection.operation_ended'
        ) execute function note_operation();
        """
    )


def downgrade() -> None:
    """Take the chain away; records of erasures and operations go, as the log has them itself."""
    op.execute(
        """
        drop trigger note_operation on events;
        drop function note_operation();
        drop trigger accesses_are_kept on audit_accesses;
        drop trigger chain_access on audit_accesses;
        drop function chain_access();
        drop table access_heads, access_chain;
        delete from audit_accesses where kind in ('erasure', 'operation');
        alter table audit_accesses drop column kind, drop column hash;
        alter table audit_accesses alter column at set default clock_timestamp();
        create sequence audit_accesses_number_seq;
        select setval('audit_accesses_number_seq', coalesce(max(number), 0) + 1, false)
          from audit_accesses;
        alter table audit_accesses
            alter column number set default nextval('audit_accesses_number_seq');
        create trigger accesses_are_kept before update or delete or truncate on audit_accesses
            for each statement execute function refuse_change();
        """
    )
