-- purpose: takes rows away and puts them down elsewhere, with the counts and checksums of both, in one statement. It
--   answers as many rows as it has moved, which is what the run tells.
-- params: none; `{from}`, `{condition}`, `{chosen}`, `{columns}`, `{archive}`, `{plan}`, `{relation}` and `{archive_name}` are put
--   in.
-- locks: ROW EXCLUSIVE on both tables, and the rows that go.
-- index: the key's, and that of the reference.
with taken as (
  delete from {from} as t where {condition} returning {chosen}
), put as (
  insert into {archive} ({columns}) overriding system value
  select {columns} from taken
  returning {columns}
), noted as (
  insert into posthaste_archive.moved (plan, relation, archive, taken_rows, taken_checksum, put_rows, put_checksum)
  select {plan}, {relation}, {archive_name}, taken_sum.rows, taken_sum.checksum, put_sum.rows, put_sum.checksum
  from
    (select count(*) as rows, coalesce(sum(hashtextextended(row({columns})::text, 0)::numeric), 0) as checksum from taken) as taken_sum,
    (select count(*) as rows, coalesce(sum(hashtextextended(row({columns})::text, 0)::numeric), 0) as checksum from put) as put_sum
)
select from put
