-- purpose: one action of an ALTER TABLE by itself
-- params: {table} quoted, {action} as its author wrote it
-- locks: those of the action, as the lock model says
-- index: none
alter table {table} {action}
