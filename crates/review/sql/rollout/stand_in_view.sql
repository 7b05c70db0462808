-- purpose: let clients that know the old name of a table go on
-- params: {view} and {table} quoted, {columns} quoted
-- locks: ACCESS SHARE on the table
-- index: none
create view {view} as select {columns} from {table}
