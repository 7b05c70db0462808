-- purpose: the next lines.
-- params: none.
-- locks: none more.
-- index: none.
fetch 2000 from posthaste_lines
