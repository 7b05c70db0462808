-- purpose: a file was written, and proven.
-- params: $1 plan, $2 relation, $3 archive, $4 file, $5 columns, $6 rows, $7 checksum as a text.
-- locks: ROW EXCLUSIVE on our own table.
-- index: exported_pkey.
insert into posthaste_archive.exported (plan, relation, archive, file, columns, rows, checksum)
values ($1, $2, $3, $4, $5, $6, $7::text::numeric)
on conflict (plan, relation) do update
set archive = excluded.archive, file = excluded.file, columns = excluded.columns, rows = excluded.rows,
  checksum = excluded.checksum, exported_at = clock_timestamp()
