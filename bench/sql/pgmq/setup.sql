-- Runs after pgmq's own SQL, which comes from its registry package.
select pgmq.create('bench');
