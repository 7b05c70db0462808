-- Adds messages that are due tomorrow. :count, :bytes.
select count(*) from pgmq.send_batch('bench', array(
    select jsonb_build_object('d', left(repeat(md5(i::text), :bytes / 32 + 1), :bytes - 8))
    from generate_series(1, :count) as i), 86400);
