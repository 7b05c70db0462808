-- purpose: the rows of an archive as lines of CSV: NULL is nothing, and all else stands in quotes.
-- params: none; `{line}` and `{archive}` are put in.
-- locks: ACCESS SHARE on the archive.
-- index: none.
declare posthaste_lines no scroll cursor for select {line} as line from {archive} as t
