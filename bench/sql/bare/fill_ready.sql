-- Adds messages that wait. :count, :bytes.
insert into bare.message (payload)
select '{"d":"' || left(repeat(md5(i::text), :bytes / 32 + 1), :bytes - 8) || '"}' from generate_series(1, :count) as i;
