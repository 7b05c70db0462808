-- purpose: the sum of two checksums, which are larger than any integer of ours.
-- params: $1 and $2, as texts.
-- locks: none.
-- index: none.
select ($1::text::numeric + $2::text::numeric)::text as sum
