-- purpose: the counters of the slowest statements of this database, where pg_stat_statements keeps them. They are
--   never reset: what was before is subtracted from what is then.
-- params: none; `{plan}` and `{moment}` (literals) are put in.
-- locks: none but on our own table.
-- index: none.
do $measure$
declare
  place text;
begin
  select quote_ident(n.nspname) into place
  from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace
  where e.extname = 'pg_stat_statements';
  if place is null then
    return;
  end if;
  execute format(
    'insert into posthaste_undo.measured (plan, moment, what, name, value, query)
     select %1$L, %2$L, counter.what, s.id, counter.value, s.query
     from (
       select (to_jsonb(s) ->> ''queryid'') as id, sum(s.calls) as calls,
         sum(coalesce(to_jsonb(s) ->> ''total_exec_time'', to_jsonb(s) ->> ''total_time'')::numeric) as ms,
         left(min(s.query), 300) as query
       from %3$s.pg_stat_statements as s
       where s.dbid = (select d.oid from pg_database as d where d.datname = current_database())
         and s.calls > 0 and s.query ~* ''^\s*(select|with|insert|update|delete)'' and s.query !~ ''posthaste''
       group by 1
     ) as s
     cross join lateral (values (''statement-calls'', s.calls), (''statement-ms'', s.ms)) as counter (what, value)
     where s.id is not null and (%2$L = ''before'' or exists (
       select from posthaste_undo.measured as m where m.plan = %1$L and m.moment = ''before'' and m.name = s.id
     ))
     order by s.ms / s.calls desc
     limit case when %2$L = ''before'' then 40 end',
    {plan}, {moment}, place
  );
exception when others then
  -- its library may not be loaded, or hidden from this role: nothing else depends on it.
  raise notice 'pg_stat_statements was not read: %', sqlerrm;
end
$measure$
