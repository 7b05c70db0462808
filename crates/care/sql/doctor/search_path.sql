-- purpose: where names without a schema are looked for
-- params: $1 the path
-- locks: none
-- index: none
select set_config('search_path', $1, false);
