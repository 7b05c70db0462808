-- purpose: how many connections are used, by state and application, against the server's, the roles' and the
--   databases' limits
-- params: none
-- locks: none on user tables
-- index: none: pg_stat_activity is in memory, roles and databases are few
with session as materialized (
  select
    s.usesysid,
    s.usename::text as role_name,
    s.datid,
    s.datname::text as database,
    coalesce(s.application_name, '') as application,
    s.state,
    s.backend_type is null as is_hidden
  from pg_stat_activity as s
  -- Without a grant the type of other people's sessions is hidden; those of no role or database are the server's own.
  where s.backend_type = 'client backend'
    or (s.backend_type is null and s.usesysid is not null and s.datid is not null)
)
select
  (select count(*) from session) as used,
  (select count(*) from session where is_hidden) as hidden,
  (select count(*) from session where state = 'idle') as idle,
  coalesce(
    (
      select jsonb_agg(jsonb_build_object('state', g.state, 'count', g.count) order by g.count desc)
      from (select coalesce(state, 'hidden') as state, count(*) from session group by 1) as g
    ),
    '[]'
  ) as by_state,
  coalesce(
    (
      select jsonb_agg(
        jsonb_build_object('application', g.application, 'state', g.state, 'count', g.count) order by g.count desc
      )
      from (
        select application, coalesce(state, 'hidden') as state, count(*)
        from session
        group by 1, 2
        order by 3 desc
        limit 12
      ) as g
    ),
    '[]'
  ) as by_application,
  coalesce(
    (
      select jsonb_agg(jsonb_build_object('name', g.name, 'limit', g.limit, 'used', g.used))
      from (
        select r.rolname::text as name, r.rolconnlimit as limit, count(s.usesysid) as used
        from pg_roles as r
        left join session as s on s.usesysid = r.oid
        where r.rolconnlimit >= 0 and r.rolcanlogin and not r.rolsuper
        group by 1, 2
      ) as g
    ),
    '[]'
  ) as roles,
  coalesce(
    (
      select jsonb_agg(jsonb_build_object('name', g.name, 'limit', g.limit, 'used', g.used))
      from (
        select d.datname::text as name, d.datconnlimit as limit, count(s.datid) as used
        from pg_database as d
        left join session as s on s.datid = d.oid
        where d.datconnlimit >= 0 and d.datallowconn
        group by 1, 2
      ) as g
    ),
    '[]'
  ) as databases;
