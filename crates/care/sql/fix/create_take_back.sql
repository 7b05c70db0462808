-- purpose: a function that puts the rows of one step back as they were, to the byte, or changes nothing and says why.
-- params: none.
-- locks: none but on the catalog; when it runs, ROW EXCLUSIVE on the tables and the rows that it restores.
-- index: none.
create or replace function posthaste_undo.take_back(of_plan text, of_step text) returns bigint
language plpgsql
set extra_float_digits = '3'
set datestyle = 'iso, ymd'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set timezone = 'utc'
as $$
declare
  part record;
  wrong text;
  names text;
  settable text;
  chosen text;
  key_text text;
  done bigint := 0;
begin
  -- rows that break a reference can only come back where references are not kept meanwhile.
  begin
    perform set_config('session_replication_role', 'replica', true);
  exception when insufficient_privilege then null;
  end;
  create temporary table if not exists posthaste_rows (
    relation text, columns text, key_columns text[], key text, before text, after text, no bigint
  ) on commit drop;
  truncate posthaste_rows;
  -- of a row that the step changed more than once, the first and the last state.
  insert into posthaste_rows
  select
    relation, columns, key_columns, min(key), (array_agg(before order by no))[1], (array_agg(after order by no desc))[1],
    max(no)
  from posthaste_undo.kept_row
  where plan = of_plan and step = of_step and taken_back_at is null
  group by relation, columns, key_columns, coalesce('k' || key, 'n' || no);
  if exists (
    select from posthaste_undo.kept_row
    where plan = of_plan and step = of_step and taken_back_at is null and md5(before) <> checksum
  ) then
    raise exception 'the kept rows of step % are damaged: a checksum does not match', of_step using errcode = 'data_corrupted';
  end if;
  for part in
    select relation, columns, key_columns from posthaste_rows group by 1, 2, 3 order by max(no) desc
  loop
    if posthaste_undo.columns_of(part.relation::regclass) is distinct from part.columns then
      raise exception 'the columns of % have changed since: %', part.relation, part.columns
        using errcode = 'object_not_in_prerequisite_state';
    end if;
    select
      string_agg(quote_ident(attname), ', ' order by attnum) filter (where attgenerated = ''),
      string_agg(quote_ident(attname), ', ' order by attnum) filter (where attgenerated = '' and attidentity <> 'a'),
      string_agg('r.' || quote_ident(attname), ', ' order by attnum) filter (where attgenerated = '' and attidentity <> 'a')
    into names, settable, chosen
    from pg_catalog.pg_attribute
    where attrelid = part.relation::regclass and attnum > 0 and not attisdropped;
    select 'row(' || string_agg('t.' || quote_ident(name), ', ') || ')::text' into key_text
    from unnest(part.key_columns) as name;

    if key_text is not null then
      -- nobody changes them between the look and the change.
      execute format(
        'select from %s as t where %s in (select key from posthaste_rows where relation = $1) for update',
        part.relation, key_text
      ) using part.relation;
      execute format(
        'select string_agg(k.key, '', '' order by k.key) from (
           select k.key from posthaste_rows as k left join %s as t on %s = k.key
           where k.relation = $1
           and ((k.after is null and t.ctid is not null)
             or (k.after is not null and row(t.*)::text is distinct from k.after))
           limit 5
         ) as k',
        part.relation, key_text
      ) into wrong using part.relation;
      if wrong is not null then
        raise exception 'rows of % were changed since, such as %: nothing is taken back', part.relation, wrong
          using errcode = 'object_not_in_prerequisite_state';
      end if;
      execute format(
        'update %1$s as t set (%2$s) = (select %3$s from (select (k.before::%1$s).*) as r)
         from posthaste_rows as k where k.relation = $1 and k.after is not null and %4$s = k.key',
        part.relation, settable, chosen, key_text
      ) using part.relation;
    end if;
    execute format(
      'insert into %1$s (%2$s) overriding system value
       select %3$s from posthaste_rows as k cross join lateral (select (k.before::%1$s).*) as r
       where k.relation = $1 and k.after is null order by k.no',
      part.relation, names, 'r.' || replace(names, ', ', ', r.')
    ) using part.relation;
    -- a trigger may have had its own mind.
    execute format(
      'select string_agg(coalesce(k.key, k.before), '', '') from (
         select k.key, k.before from posthaste_rows as k
         where k.relation = $1 and not exists (select from %s as t where row(t.*)::text = k.before) limit 5
       ) as k',
      part.relation
    ) into wrong using part.relation;
    if wrong is not null then
      raise exception 'rows of % did not come back as they were, such as %', part.relation, wrong
        using errcode = 'triggered_action_exception';
    end if;
  end loop;
  perform set_config('session_replication_role', 'origin', true)
  where current_setting('session_replication_role') <> 'origin';
  select count(*) into done from posthaste_rows;
  update posthaste_undo.kept_row set taken_back_at = clock_timestamp()
  where plan = of_plan and step = of_step and taken_back_at is null;
  return done;
end
$$
