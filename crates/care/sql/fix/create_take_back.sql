-- purpose: a function that puts rows of one step back as they were, to the byte, or changes nothing and says why.
-- params: none.
-- locks: none but on the catalog; when it runs, ROW EXCLUSIVE on the tables and the rows that it restores.
-- index: none; when it runs, kept_row_of_step and the keys of the tables.
create or replace function posthaste_undo.take_back(of_plan text, of_step text, picks bigint[], only_looks boolean)
returns bigint
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
  rows_of text;
  is_same text;
  was_same text;
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
  insert into posthaste_rows
  select relation, columns, key_columns, key, before, after, no
  from posthaste_undo.kept_row
  where plan = of_plan and step = of_step and pick = any (picks) and taken_back_at is null;
  if exists (
    select from posthaste_undo.kept_row
    where plan = of_plan and step = of_step and pick = any (picks) and taken_back_at is null and md5(before) <> checksum
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
      string_agg('(k.was_row).' || quote_ident(attname), ', ' order by attnum) filter (where attgenerated = '' and attidentity <> 'a')
    into names, settable, chosen
    from pg_catalog.pg_attribute
    where attrelid = part.relation::regclass and attnum > 0 and not attisdropped;
    -- rows are found by their key through its index, as they are now and as they were.
    select
      string_agg(format('t.%1$I = (k.is_row).%1$I', name), ' and '),
      string_agg(format('t.%1$I = (k.was_row).%1$I', name), ' and ')
    into is_same, was_same
    from unnest(part.key_columns) as name;
    rows_of := format(
      'k as materialized (
         select no, key, before, after, before::%1$s as was_row, coalesce(after, before)::%1$s as is_row
         from posthaste_rows where relation = $1
       )',
      part.relation
    );

    if is_same is not null then
      if not only_looks then
        -- nobody changes them between the look and the change.
        execute format('with %s select from k join %s as t on %s for update of t', rows_of, part.relation, is_same)
        using part.relation;
      end if;
      execute format(
        'with %s select string_agg(k.key, '', '' order by k.key) from (
           select k.key from k left join %s as t on %s
           where (k.after is null and t.ctid is not null)
             or (k.after is not null and row(t.*)::text is distinct from k.after)
           order by k.no
           limit 5
         ) as k',
        rows_of, part.relation, is_same
      ) into wrong using part.relation;
      if wrong is not null then
        raise exception 'rows of % were changed since, such as %: nothing is taken back', part.relation, wrong
          using errcode = 'object_not_in_prerequisite_state';
      end if;
    end if;
    continue when only_looks;
    if is_same is not null then
      execute format(
        'with %s update %s as t set (%s) = row(%s) from k where k.after is not null and %s',
        rows_of, part.relation, settable, chosen, is_same
      ) using part.relation;
    end if;
    execute format(
      'with %s insert into %s (%s) overriding system value
       select %s from k where k.after is null order by k.no',
      rows_of, part.relation, names,
      (
        select string_agg('(k.was_row).' || quote_ident(attname), ', ' order by attnum)
        from pg_catalog.pg_attribute
        where attrelid = part.relation::regclass and attnum > 0 and not attisdropped and attgenerated = ''
      )
    ) using part.relation;
    -- a trigger may have had its own mind.
    execute format(
      'with %s select string_agg(coalesce(k.key, k.before), '', '') from (
         select k.key, k.before from k
         where not exists (select from %s as t where %s and row(t.*)::text = k.before) limit 5
       ) as k',
      rows_of, part.relation, coalesce(was_same, 'true')
    ) into wrong using part.relation;
    if wrong is not null then
      raise exception 'rows of % did not come back as they were, such as %', part.relation, wrong
        using errcode = 'triggered_action_exception';
    end if;
  end loop;
  perform set_config('session_replication_role', 'origin', true)
  where current_setting('session_replication_role') <> 'origin';
  select count(*) into done from posthaste_rows;
  if not only_looks then
    update posthaste_undo.kept_row set taken_back_at = clock_timestamp()
    where plan = of_plan and step = of_step and pick = any (picks) and taken_back_at is null;
  end if;
  return done;
end
$$
