"""Users in version 2: what they have spent and their last order, of accounts before 0010 too."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; in a log with events the first start rebuilds the view into it."""
    op.execute(
        """
        create table users_v2 (like users_v1 including all);

        do $$ begin
            if (select position from log_head) = 0 then
                drop table users_v1;
                update projection_versions set version = 2, serves = 2 where name = 'users';
                update projection_checkpoints set version = 2 where name = 'users';
            end if;
        end $$;
        """
    )


def downgrade() -> None:
    """Refuse: version 1 may be there no more."""
    message = "Restore a backup, or make the views anew in a new database."
    raise RuntimeError(message)
