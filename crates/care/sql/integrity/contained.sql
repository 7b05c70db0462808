-- purpose: how many of a table's different values are keys of another one: whether the first seems to point there.
-- params: none; `{columns}`, `{child}`, `{sample}`, `{is_set}`, `{limit}`, `{parent}` and `{match}` are put in.
-- locks: ACCESS SHARE on both tables.
-- index: none on purpose: a hash of the other table's keys.
with picked as materialized (
  select distinct {columns} from {child} as t {sample} where {is_set} limit {limit}
)
select
  (select count(*) from picked) as picked,
  (select count(*) from picked as t where exists (select from {parent} as p where {match})) as found
