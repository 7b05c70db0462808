-- purpose: rows that were read from a file, into an archive.
-- params: one array of texts for each column; `{archive}`, `{columns}`, `{cells}`, `{arrays}` and `{names}` are put in.
-- locks: ROW EXCLUSIVE on the archive.
-- index: none.
insert into {archive} ({columns}) overriding system value
select {cells} from unnest({arrays}) as r ({names})
