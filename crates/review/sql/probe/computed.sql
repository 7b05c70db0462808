-- purpose: whether a value that a backfill computes breaks a condition, over the first thousand rows
-- params: {table}, {alias} and {column} quoted, {expression} and {condition} as they are written
-- locks: ACCESS SHARE on the tables
-- index: whatever the expression uses; the limit and the statement timeout bound it
select exists (
    select from (select {expression} as {column} from {table} as {alias} limit 1000) as computed
    where not ({condition})
)
