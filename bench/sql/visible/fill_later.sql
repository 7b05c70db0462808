-- Adds messages that are due tomorrow. :count, :bytes.
insert into visible.message (visible_at, payload)
select now() + interval '1 day',
    '{"d":"' || left(repeat(md5(i::text), :bytes / 32 + 1), :bytes - 8) || '"}' from generate_series(1, :count) as i;
