-- purpose: cancels what one session does, ends the session when that does not help and was asked for, and writes down
--   what came of it. It is the session of that number, start and transaction or statement, or none.
-- params: none; `{pid}` a number, `{backend_start}` and `{since}` literals, `{is_statement}` and `{terminates}` booleans are put in.
-- locks: none but on our own table.
-- index: none; pg_stat_activity is small.
do $end_session$
declare
  named record;
  outcome text := 'gone';
  why text := 'there is no such session, or this role may not see it';
begin
  perform pg_stat_clear_snapshot();
  select s.usename::text as role, s.application_name as application, s.state, s.query,
    case when {is_statement} then s.query_start else s.xact_start end as since
  into named
  from pg_stat_activity as s
  where s.pid = {pid} and s.backend_start = {backend_start}::timestamptz and s.backend_type = 'client backend'
    and s.pid <> pg_backend_pid();
  if found and {since}::timestamptz is not null and named.since is distinct from {since}::timestamptz then
    outcome := 'refused';
    why := format('it does something else now, begun at %s and not at %s', coalesce(named.since::text, '(nothing is open)'), {since});
  elsif found then
    outcome := 'cancelled';
    why := 'it was asked to stop';
    if named.state = 'active' or not {terminates} then
      perform pg_cancel_backend({pid});
    end if;
    -- a cancel helps whom a statement keeps; who is idle does not hear it.
    for look in 1..(case when named.state = 'active' and {terminates} then 50 else 0 end) loop
      perform pg_sleep(0.1);
      perform pg_stat_clear_snapshot();
      exit when not exists (
        select from pg_stat_activity as s
        where s.pid = {pid} and s.backend_start = {backend_start}::timestamptz and s.xact_start is not distinct from named.since
      );
    end loop;
    if {terminates} and exists (
      select from pg_stat_activity as s
      where s.pid = {pid} and s.backend_start = {backend_start}::timestamptz
        and s.xact_start is not distinct from named.since
    ) then
      perform pg_terminate_backend({pid});
      outcome := 'terminated';
      why := case when named.state = 'active' then 'a cancel did not help within 5 s' else 'it did nothing inside its transaction, and a cancel would not reach it' end;
    end if;
  end if;
  insert into posthaste_undo.session_end (pid, backend_start, outcome, why, role, application, state, query)
  values ({pid}, {backend_start}::timestamptz, outcome, why, named.role, named.application, named.state, left(named.query, 500));
end
$end_session$
