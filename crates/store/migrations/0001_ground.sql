-- The whole schema of the first release. Applied in one transaction, under the schema's advisory lock.
--
-- Two rules shape it. Payloads are written once. What happens to every message (insert, claim, settle) is
-- append-mostly, so that nobody's long snapshot and no backlog slows it down; what is the exception (retry,
-- delay, death) may cost a row of its own.
--
-- posthaste: ignore-file dynamic-sql because each queue has tables of its own, and a call locks only those of its queue
--
-- posthaste: ignore-file int4-key because what is counted so is declared by people, not made by events

-- The database's clock, which decides leases and due times. Tests move it by the setting, never by the system.
create function posthaste.now() returns timestamptz
language sql stable
as $$
    select statement_timestamp()
        + coalesce(nullif(current_setting('posthaste.clock_offset', true), ''), '0')::interval
$$;

-- Ids of messages and their places in the logs. One sequence, so that an id names one message in all queues.
create sequence posthaste.message_seq cache 50;

-- ---------------------------------------------------------------- topics, queues, endpoints, subscriptions

create table posthaste.topic (
    name text primary key,
    priority smallint not null default 3 check (priority between 0 and 3),
    schema jsonb,
    declared boolean not null default false,
    -- Nobody asked for it: an event or a schedule of this type came.
    by_need boolean not null default false,
    created_at timestamptz not null default posthaste.now()
);

create table posthaste.queue (
    id integer generated always as identity primary key,
    name text not null unique,
    visibility_seconds integer not null,
    retention_seconds integer not null,
    dead_retention_seconds integer not null default 1209600,
    max_receives smallint not null check (max_receives between 1 and 1000),
    delay_seconds integer not null default 0,
    batch integer not null,
    reserved integer not null default 0,
    max_concurrency integer not null,
    worker_timeout_seconds integer not null,
    backoff_base_ms integer not null default 1000,
    backoff_cap_ms integer not null default 300000,
    paused boolean not null default false,
    declared boolean not null default false,
    -- The segment that takes new messages; the other one drains, or is empty.
    segment smallint not null default 0,
    rotated_at timestamptz not null default posthaste.now(),
    created_at timestamptz not null default posthaste.now()
);

create table posthaste.endpoint (
    id integer generated always as identity primary key,
    name text not null unique,
    kind text not null check (kind in ('webhook', 'function')),
    url text not null,
    -- [{"secret": "sealed:1:...", "until": null | time}], the newest first; more than one while a rotation overlaps.
    secrets jsonb not null default '[]',
    settings jsonb not null default '{}',
    paused boolean not null default false,
    declared boolean not null default false,
    -- The breaker's state as the last node to see it change wrote it; null is closed.
    breaker jsonb,
    created_at timestamptz not null default posthaste.now()
);

create table posthaste.subscription (
    id integer generated always as identity primary key,
    name text not null unique,
    topic text not null references posthaste.topic (name),
    filter jsonb,
    queue_id integer references posthaste.queue (id),
    endpoint_id integer references posthaste.endpoint (id),
    declared boolean not null default false,
    created_at timestamptz not null default posthaste.now(),
    constraint subscription_has_one_destination check (num_nonnulls(queue_id, endpoint_id) = 1)
);
create index subscription_topic on posthaste.subscription (topic);
create index subscription_queue on posthaste.subscription (queue_id) where queue_id is not null;
create index subscription_endpoint on posthaste.subscription (endpoint_id) where endpoint_id is not null;

-- ---------------------------------------------------------------- subjects, schedules, events

create table posthaste.subject (
    id text primary key,
    zone text not null,
    dates jsonb not null default '{}',
    attributes jsonb not null default '{}',
    created_at timestamptz not null default posthaste.now(),
    updated_at timestamptz not null default posthaste.now()
);

create table posthaste.schedule (
    id bigint generated always as identity primary key,
    name text unique,
    type text not null,
    subject text references posthaste.subject (id) on delete cascade,
    -- Either a rule of its own, or a date of the subject ("birthday") that comes round every year.
    rule jsonb,
    follows text,
    -- None is the subject's zone, whichever that is by then.
    zone text,
    at time not null default '09:00',
    priority smallint check (priority between 0 and 3),
    attributes jsonb not null default '{}',
    payload jsonb not null default '{}',
    status text not null default 'active' check (status in ('active', 'paused', 'cancelled', 'finished')),
    -- The occurrence that waits or is under way. None when paused, cancelled or finished, and while the subject
    -- has no such date.
    event_id uuid,
    next_at timestamptz,
    -- When the occurrence after that one is due by the clock: it is made then, though that one may not have ended.
    following_at timestamptz,
    -- How many occurrences were made; the number of the last one.
    occurrences bigint not null default 0,
    created_at timestamptz not null default posthaste.now(),
    updated_at timestamptz not null default posthaste.now(),
    constraint schedule_has_one_rule check (num_nonnulls(rule, follows) = 1),
    constraint schedule_has_a_zone check (zone is not null or subject is not null),
    constraint schedule_follows_a_subject check (follows is null or subject is not null)
);
create index schedule_subject on posthaste.schedule (subject, id);
create index schedule_following on posthaste.schedule (following_at) where following_at is not null;
create index schedule_live on posthaste.schedule (subject, id) where status in ('active', 'paused');

create table posthaste.event (
    id uuid primary key,
    -- The idempotency key, unique over all events that are kept: a duplicate is refused whenever it comes. Keys are
    -- only ever compared for being the same, and bytes are compared faster than words of a language.
    key text collate "C" not null,
    payload_hash bytea not null,
    type text not null,
    subject text,
    priority smallint not null check (priority between 0 and 3),
    due_at timestamptz not null,
    accepted_at timestamptz not null default posthaste.now(),
    -- Not before this, and not while a message of it is anywhere, are the row and its key removed.
    expires_at timestamptz not null,
    -- When and by which transaction it became messages; null while it waits.
    published_at timestamptz,
    xid xid8,
    fanout smallint not null default 0,
    cancelled_at timestamptz,
    -- Set for events whose end must be known (of a schedule, or watched by a subscriber of domain events).
    finished_at timestamptz,
    failed boolean not null default false,
    -- From SQL, so no node has seen it yet: the one that takes it up when it is due checks it.
    unchecked boolean not null default false,
    schedule_id bigint references posthaste.schedule (id) on delete set null,
    correlation_id text,
    attributes text,
    payload bytea not null,
    constraint event_key_is_unique unique (key)
);
create index event_expires on posthaste.event (expires_at);
create index event_schedule on posthaste.event (schedule_id) where schedule_id is not null;
create index event_subject on posthaste.event (subject, due_at) where subject is not null;

-- Events that are not yet messages, in the order in which the scheduler takes them.
create table posthaste.waiting (
    priority smallint not null,
    due_at timestamptz not null,
    event_id uuid not null references posthaste.event (id) on delete cascade,
    primary key (priority, due_at, event_id)
);
create index waiting_event on posthaste.waiting (event_id);

-- How the messages of a tracked event ended; the last one to come finishes the event.
create table posthaste.outcome (
    event_id uuid not null references posthaste.event (id) on delete cascade,
    message_id bigint not null,
    failed boolean not null,
    primary key (event_id, message_id)
);

-- ---------------------------------------------------------------- messages

-- Messages that become visible later: retries, delays, deferrals, and what was given back.
create table posthaste.deferred (
    id bigint primary key,
    queue_id integer not null,
    visible_at timestamptz not null,
    event_id uuid,
    subscription_id integer,
    receives smallint not null default 0,
    tracked boolean not null default false,
    sent_at timestamptz not null,
    attributes text,
    payload bytea
);
create index deferred_visible on posthaste.deferred (queue_id, visible_at);
create index deferred_event on posthaste.deferred (event_id) where event_id is not null;
alter table posthaste.deferred alter payload set storage external;

-- Where a message stands in a log, and the order of a log.
create type posthaste.place as (xid xid8, seq bigint);

-- One leased message whose consumer asked for more time than its batch has.
create table posthaste.extension (
    queue_id integer not null,
    segment smallint not null,
    lease_id bigint not null,
    seq bigint not null,
    expires_at timestamptz not null,
    primary key (queue_id, segment, lease_id, seq)
);

-- Makes the tables of one segment of a queue: its log of messages and its leases.
--
-- The log takes inserts and is emptied by truncate; a row is never updated. A message is found by (xid, seq):
-- the transaction that wrote it, then its place. The lease table has a row for each claimed batch, and its
-- newest row is the cursor: everything visible in the snapshot before `cur` is claimed (but for the
-- transactions `late`, which were open then), and of what is visible in `cur`, everything up to `pos`.
-- A lease does not list its messages: they are what lies between the cursor of the row before and its own.
create function posthaste.create_segment(queue_id integer, segment smallint) returns void
language plpgsql
as $$
begin
    execute format($ddl$
        create table posthaste.log_%1$s_%2$s (
            seq bigint not null default nextval('posthaste.message_seq'),
            xid xid8 not null default pg_current_xact_id(),
            id bigint,
            event_id uuid,
            subscription_id integer,
            receives smallint not null default 0,
            tracked boolean not null default false,
            sent_at timestamptz not null default posthaste.now(),
            attributes text,
            payload bytea
        ) with (autovacuum_enabled = false, toast_tuple_target = 8160)
    $ddl$, queue_id, segment);
    execute format('alter table posthaste.log_%s_%s alter payload set storage external', queue_id, segment);
    execute format('create unique index on posthaste.log_%s_%s (xid, seq)', queue_id, segment);
    execute format($ddl$
        create table posthaste.lease_%1$s_%2$s (
            id bigint generated always as identity primary key,
            expires_at timestamptz not null,
            size integer not null,
            closed boolean not null default false,
            settled int8multirange not null default '{}',
            returned int8multirange not null default '{}',
            late xid8[] not null,
            prev_xmax xid8 not null,
            cur pg_snapshot not null,
            pos_xid xid8 not null,
            pos_seq bigint not null
        ) with (fillfactor = 70)
    $ddl$, queue_id, segment);
    execute format('create index on posthaste.lease_%s_%s (expires_at)', queue_id, segment);
    execute format('select posthaste.start_cursor(%s, %s::smallint)', queue_id, segment);
end
$$;

-- Writes the first row of an empty lease table: a closed lease of nothing, with the cursor at this moment.
create function posthaste.start_cursor(queue_id integer, segment smallint) returns void
language plpgsql
as $$
begin
    execute format($dml$
        insert into posthaste.lease_%s_%s
            (expires_at, size, closed, late, prev_xmax, cur, pos_xid, pos_seq)
        select '-infinity', 0, true, '{}', pg_snapshot_xmax(pg_current_snapshot()), pg_current_snapshot(), '0', 0
    $dml$, queue_id, segment);
end
$$;

-- Whether a queue holds messages in any state (visible, leased, deferred), or dead letters.
--
-- What lies behind the cursor is not claimed: see posthaste.create_segment. Open leases are claimed, not settled.
create function posthaste.queue_has_messages(queue_id integer) returns boolean
language plpgsql stable
as $$
declare
    found_any boolean;
begin
    if exists (select from posthaste.deferred d where d.queue_id = $1)
        or exists (select from posthaste.dead_letter d where d.queue_id = $1) then
        return true;
    end if;
    for segment in 0..1 loop
        execute format($dml$
            with state as materialized (
                select l.late, l.prev_xmax, l.cur, l.pos_xid, l.pos_seq
                from posthaste.lease_%1$s_%2$s l
                order by l.id desc
                limit 1
            )
            select exists (select from posthaste.lease_%1$s_%2$s l where not l.closed)
                or exists (
                    select
                    from state s
                    join posthaste.log_%1$s_%2$s m on m.xid >= s.prev_xmax and (m.xid, m.seq) > (s.pos_xid, s.pos_seq)
                )
                or exists (
                    select
                    from state s
                    cross join unnest(s.late) as open (xid)
                    join posthaste.log_%1$s_%2$s m on m.xid = open.xid and (m.xid, m.seq) > (s.pos_xid, s.pos_seq)
                )
                or exists (
                    select
                    from state s
                    cross join pg_snapshot_xip(s.cur) as open (xid)
                    join posthaste.log_%1$s_%2$s m on m.xid = open.xid
                )
        $dml$, queue_id, segment) into found_any;
        if found_any then
            return true;
        end if;
    end loop;
    return false;
end
$$;

-- Removes a queue with its tables, unless it holds messages; says whether it did. Senders are locked out first,
-- so that nothing is sent between the look and the drop; not for long, since other senders wait behind the lock.
create function posthaste.remove_queue(queue_id integer) returns boolean
language plpgsql
set lock_timeout = '2s'
as $$
begin
    execute format($ddl$
        lock table posthaste.log_%1$s_0, posthaste.log_%1$s_1, posthaste.lease_%1$s_0, posthaste.lease_%1$s_1
        in access exclusive mode
    $ddl$, queue_id);
    if posthaste.queue_has_messages(queue_id) then
        return false;
    end if;
    execute format($ddl$
        drop table posthaste.log_%1$s_0, posthaste.log_%1$s_1, posthaste.lease_%1$s_0, posthaste.lease_%1$s_1
    $ddl$, queue_id);
    update posthaste.redrive r set queue_id = null where r.queue_id = $1;
    delete from posthaste.extension x where x.queue_id = $1;
    delete from posthaste.queue q where q.id = $1;
    return true;
end
$$;

-- Every attempt to deliver to an endpoint, kept for a configured time; a partition a day.
create table posthaste.attempt (
    id bigint generated always as identity,
    at timestamptz not null,
    message_id bigint not null,
    event_id uuid,
    endpoint_id integer not null,
    receive smallint not null,
    status smallint,
    latency_ms integer not null,
    category text,
    code text,
    error text,
    response bytea
) partition by range (at);
create index attempt_event on posthaste.attempt (event_id);
create index attempt_endpoint on posthaste.attempt (endpoint_id, at);
create table posthaste.attempt_default partition of posthaste.attempt default;

-- Makes the partitions of today and the next three days (in UTC), and drops those older than `keep_days`. A day for
-- which rows are in the default partition already stays there. Returns how many were made and dropped.
create function posthaste.keep_attempt_partitions(keep_days integer) returns integer
language plpgsql
as $$
declare
    today date := (posthaste.now() at time zone 'UTC')::date;
    day date;
    part text;
    changed integer := 0;
begin
    set local lock_timeout = '1s';
    for day in select d::date from generate_series(today, today + 3, interval '1 day') d loop
        part := 'attempt_' || to_char(day, 'YYYYMMDD');
        if to_regclass('posthaste.' || part) is null and not exists (
            select from posthaste.attempt_default a
            where a.at >= day::timestamp at time zone 'UTC' and a.at < (day + 1)::timestamp at time zone 'UTC'
        ) then
            execute format(
                'create table posthaste.%I partition of posthaste.attempt for values from (%L) to (%L)',
                part, day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC'
            );
            changed := changed + 1;
        end if;
    end loop;
    for part in
        select c.relname
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'posthaste.attempt'::regclass
            and c.relname ~ '^attempt_[0-9]{8}$'
            and to_date(right(c.relname, 8), 'YYYYMMDD') < today - keep_days
    loop
        execute format('drop table posthaste.%I', part);
        changed := changed + 1;
    end loop;
    delete from posthaste.attempt_default a
    where a.ctid in (
        select d.ctid from posthaste.attempt_default d where d.at < posthaste.now() - make_interval(days => keep_days)
        limit 10000
    );
    return changed;
end
$$;

-- posthaste: ignore foreign-key-without-index because redrives are few, and queues are deleted by hand
create table posthaste.redrive (
    id bigint generated always as identity primary key,
    queue_id integer references posthaste.queue (id),
    filter jsonb not null,
    status text not null default 'running' check (status in ('running', 'done', 'cancelled')),
    total integer not null,
    moved integer not null default 0,
    jitter_seconds integer not null,
    rate_per_second integer,
    started_by text not null,
    started_at timestamptz not null default posthaste.now(),
    finished_at timestamptz
);

create table posthaste.dead_letter (
    id bigint generated always as identity primary key,
    queue_id integer not null references posthaste.queue (id),
    message_id bigint not null,
    event_id uuid,
    subscription_id integer,
    endpoint_id integer,
    type text,
    receives smallint not null,
    -- Whether its event's end must be known: see posthaste.outcome.
    tracked boolean not null default false,
    category text not null,
    code text not null,
    error text not null,
    sent_at timestamptz not null,
    died_at timestamptz not null default posthaste.now(),
    redrives smallint not null default 0,
    -- The redrive that has taken it, and when it is due to go back.
    redrive_id bigint references posthaste.redrive (id),
    redrive_at timestamptz,
    attributes text,
    payload bytea not null
);
create index dead_letter_queue on posthaste.dead_letter (queue_id, id);
create index dead_letter_died on posthaste.dead_letter (queue_id, died_at);
create index dead_letter_event on posthaste.dead_letter (event_id) where event_id is not null;
create index dead_letter_redrive on posthaste.dead_letter (redrive_at) where redrive_id is not null;
create index dead_letter_run on posthaste.dead_letter (redrive_id) where redrive_id is not null;

-- Dead letters that were discarded or outlived their retention, whole, with who did it and why.
create table posthaste.dead_letter_archive (
    archived_at timestamptz not null default posthaste.now(),
    archived_by text not null,
    reason text not null,
    id bigint primary key,
    queue_id integer not null,
    message_id bigint not null,
    event_id uuid,
    subscription_id integer,
    endpoint_id integer,
    type text,
    receives smallint not null,
    category text not null,
    code text not null,
    error text not null,
    sent_at timestamptz not null,
    died_at timestamptz not null,
    attributes text,
    payload bytea not null
);
create index dead_letter_archive_at on posthaste.dead_letter_archive (archived_at);
create index dead_letter_archive_event on posthaste.dead_letter_archive (event_id) where event_id is not null;

-- ---------------------------------------------------------------- keys, nodes, switches

create table posthaste.api_key (
    id integer generated always as identity primary key,
    name text not null unique,
    -- SHA-256 of the key: keys are long and random, so a slow hash would add nothing.
    hash bytea not null unique,
    scopes text[] not null,
    rate_per_second integer,
    created_at timestamptz not null default posthaste.now(),
    expires_at timestamptz,
    revoked_at timestamptz
);

-- The node that does what only one may do. It is taken over when its time runs out.
create table posthaste.leader (
    name text primary key,
    node uuid not null,
    expires_at timestamptz not null
);

-- Which key the secrets of endpoints are sealed with; the key itself is never here.
create table posthaste.seal (
    singleton boolean primary key default true check (singleton),
    fingerprint text not null
);

-- What goes wrong on purpose, in tests and gamedays.
create table posthaste.failure_mode (
    singleton boolean primary key default true check (singleton),
    mode text not null,
    seed bigint not null,
    percent smallint not null,
    delay_ms integer not null,
    endpoint text,
    set_at timestamptz not null default posthaste.now()
);

-- ---------------------------------------------------------------- from SQL, in the sender's own transaction

-- Wakes the nodes when the transaction commits, at no cost while they are awake.
--
-- A scheduler that sleeps holds advisory lock (7306086, 0) exclusively. A sender takes it shared, if it can: then the
-- scheduler is awake, and cannot go to sleep before this transaction has ended, so it will see what was sent. Only
-- when it sleeps is a notification needed; notifications in every transaction would make commits queue up.
create function posthaste.wake(payload text) returns void
language plpgsql
as $$
begin
    if not pg_try_advisory_xact_lock_shared(7306086, 0) then
        perform pg_notify('posthaste', payload);
    end if;
end
$$;

-- A UUID of version 7, as nodes make them: milliseconds, then random bits.
create function posthaste.new_event_id() returns uuid
language sql volatile
as $$
    select encode(
        set_byte(
            overlay(
                uuid_send(gen_random_uuid())
                placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                from 1 for 6
            ),
            6, (get_byte(uuid_send(gen_random_uuid()), 0) & 15) | 112
        ), 'hex'
    )::uuid
$$;

-- A number of JSON as a node reads it, a double, and writes it to hash it, in the form of ECMAScript: see
-- engine/src/canonical.rs. Whole ones that fit 64 bits have all their digits.
create function posthaste.canonical_double(value numeric) returns text
language plpgsql immutable
set extra_float_digits = 1
as $$
declare
    float double precision;
    size double precision;
begin
    -- What no double can tell from zero; PostgreSQL would refuse to convert it.
    if abs(value) < 2.48e-324 then
        return '0';
    end if;
    if abs(value) > 1.797693134862315807e308 then
        raise exception 'posthaste: the payload has a number that is out of range' using errcode = '22003';
    end if;
    float := value::double precision;
    size := abs(float);
    if size >= 1e21 or size < 1e-6 then
        return regexp_replace(float::text, 'e-0', 'e-');
    end if;
    if float = trunc(float) and size < 9223372036854775808 then
        return float::bigint::text;
    end if;
    if float = trunc(float) and float > 0 and float < 18446744073709551616 then
        return (9223372036854775808 + (float - 9223372036854775808)::bigint)::text;
    end if;
    -- By way of its text, which has the fewest digits that tell it from other doubles.
    return trim_scale(float::text::numeric)::text;
end
$$;

-- JSON as a node writes it to hash it, so that the same content has the same key wherever it comes from.
create function posthaste.canonical(value jsonb) returns text
language plpgsql immutable
as $$
declare
    kind text := jsonb_typeof(value);
    number numeric;
begin
    if kind = 'object' then
        -- In the order of UTF-16: characters of two units come before those from U+E000 on.
        return '{' || coalesce((
            select string_agg(
                to_json(f.key) || ':' || case
                    when jsonb_typeof(f.value) in ('string', 'boolean', 'null') then f.value::text
                    else posthaste.canonical(f.value)
                end,
                ',' order by case
                    when octet_length(f.key) = length(f.key) then f.key
                    else regexp_replace(f.key, '([\uE000-\uFFFF])', U&'\+10FFFF' || '\1', 'g')
                end collate "C"
            )
            from jsonb_each(value) f
        ), '') || '}';
    elsif kind = 'array' then
        return '[' || coalesce((
            select string_agg(posthaste.canonical(e.value), ',' order by e.place)
            from jsonb_array_elements(value) with ordinality as e (value, place)
        ), '') || ']';
    elsif kind = 'number' then
        number := value::numeric;
        if scale(number) = 0 and number between -9223372036854775808 and 18446744073709551615 then
            return number::text;
        end if;
        -- So few digits are told apart by every double, so that they are the fewest already.
        if abs(number) >= 0.000001 and length(number::text) <= 16 then
            return trim_scale(number)::text;
        end if;
        return posthaste.canonical_double(number);
    end if;
    return value::text;
end
$$;

-- The instant of a local time, as nodes resolve it: one that a change of clocks skips moves forward by what was skipped
-- (PostgreSQL does that by itself), and of one that comes twice it is the first (PostgreSQL takes the second).
--
-- Only names of places are taken: PostgreSQL knows `CET` as an offset that never changes, and takes many a typing error
-- for a rule of its own. One that it does not know raises its own error, 22023.
create function posthaste.resolve_local(local timestamp, zone text) returns timestamptz
language plpgsql stable
as $$
declare
    found timestamptz;
    day_before timestamptz;
    first timestamptz;
begin
    if zone is null or zone !~ '^([A-Za-z_]+(/[A-Za-z_-]+)+|Etc/GMT[+-][0-9]{1,2}|UTC)$' then
        raise exception 'posthaste: there is no time zone `%`', zone
            using errcode = '22023', hint = 'give the zone''s IANA name, such as `Europe/Berlin`';
    end if;
    found := local at time zone zone;
    day_before := found - interval '24 hours';
    first := found - ((day_before at time zone zone - day_before at time zone 'UTC')
        - (local - found at time zone 'UTC'));
    if first < found and first at time zone zone = local then
        return first;
    end if;
    return found;
end
$$;

-- Publishes an event when this transaction commits, and not if it rolls back. Answers with the event's id; the same
-- key with the same type and payload answers with the id of the first, with others it raises an error.
--
-- What a node would refuse at once raises here. The schema of the type is looked at when the event is due: one that
-- does not satisfy it becomes a dead letter.
--
-- Due at `due_at`, or at `due_local` in `zone`, or else in the zone of the subject.
--
-- It runs with the rights of the schema's owner, so that an application needs no more than to be allowed to call it.
create function posthaste.publish(
    type text,
    payload jsonb,
    key text default null,
    due_at timestamptz default null,
    priority text default null,
    subject text default null,
    attributes jsonb default null,
    correlation_id text default null,
    due_local timestamp default null,
    zone text default null
) returns uuid
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    event_id uuid := posthaste.new_event_id();
    body bytea := convert_to(payload::text, 'UTF8');
    content bytea := convert_to(posthaste.canonical(payload), 'UTF8');
    body_hash bytea := sha256(content);
    event_key text := coalesce(key, encode(sha256(convert_to(type, 'UTF8') || '\x00' || content), 'hex'));
    due timestamptz;
    rank smallint;
    known record;
begin
    if type is null or type !~ '^[A-Za-z0-9._-]{1,120}$' then
        raise exception 'posthaste.publish: `type` must have 1 to 120 letters, digits, dots, hyphens and underscores'
            using errcode = '22023';
    end if;
    if type in ('EventScheduled', 'EventCompleted', 'EventFailed', 'UserBirthdayChanged', 'UserTimezoneChanged') then
        raise exception 'posthaste.publish: only Posthaste itself publishes `%`', type using errcode = '22023';
    end if;
    if payload is null then
        raise exception 'posthaste.publish: `payload` must not be null' using errcode = '22004';
    end if;
    if attributes is not null and jsonb_typeof(attributes) <> 'object' then
        raise exception 'posthaste.publish: `attributes` must be a JSON object' using errcode = '22023';
    end if;
    if octet_length(body) + octet_length(coalesce(attributes::text, '')) > 262144 then
        raise exception 'posthaste.publish: `payload` and `attributes` have % bytes, at most 262144 are allowed',
            octet_length(body) + octet_length(coalesce(attributes::text, '')) using errcode = '22023';
    end if;
    -- Both are written to logs and headers.
    if octet_length(event_key) not between 1 and 255 or event_key ~ '[[:cntrl:]]' then
        raise exception 'posthaste.publish: `key` must have 1 to 255 bytes without control characters'
            using errcode = '22023';
    end if;
    -- They can be guessed, and a transaction that held one would hold up whoever makes that event.
    if event_key ~ '^(schedule|Event(Scheduled|Completed|Failed)|User(Birthday|Timezone)Changed):' then
        raise exception 'posthaste.publish: the key `%` is like those of Posthaste''s own events', event_key
            using errcode = '22023', hint = 'give a key that begins otherwise';
    end if;
    if octet_length(subject) not between 1 and 255 or subject ~ '[[:cntrl:]]' then
        raise exception 'posthaste.publish: `subject` must have 1 to 255 bytes without control characters'
            using errcode = '22023';
    end if;
    -- A `traceparent`, or an id of the sender's own. It is written to logs and headers as well.
    if correlation_id !~ '^[A-Za-z0-9_.:/+=@-]{1,128}$' then
        raise exception 'posthaste.publish: `correlation_id` must be a traceparent, or 1 to 128 letters, digits and -_.:/+=@'
            using errcode = '22023';
    end if;
    if due_local is null then
        if zone is not null then
            raise exception 'posthaste.publish: `zone` is the zone of `due_local`, which is not given'
                using errcode = '22023';
        end if;
        due := greatest(due_at, posthaste.now());
    else
        if due_at is not null then
            raise exception 'posthaste.publish: both `due_at` and `due_local` are given' using errcode = '22023';
        end if;
        if zone is null then
            select s.zone into zone from posthaste.subject s where s.id = publish.subject;
        end if;
        if zone is null then
            raise exception 'posthaste.publish: the local time % names no zone, and no subject that has one', due_local
                using errcode = '22023', hint = 'give `zone`, such as `Europe/Berlin`';
        end if;
        due := greatest(posthaste.resolve_local(due_local, zone), posthaste.now());
    end if;
    if due > posthaste.now() + interval '3653 days' then
        raise exception 'posthaste.publish: `due_at` is more than ten years ahead' using errcode = '22023';
    end if;
    rank := case upper(priority)
        when 'CRITICAL' then 0 when 'HIGH' then 1 when 'NORMAL' then 2 when 'LOW' then 3
    end;
    if priority is not null and rank is null then
        raise exception 'posthaste.publish: `priority` is %, expected CRITICAL, HIGH, NORMAL or LOW', priority
            using errcode = '22023';
    end if;
    if rank is null then
        select t.priority into rank from posthaste.topic t where t.name = publish.type;
    end if;
    if rank is null then
        rank := case upper(type) when 'BIRTHDAY' then 0 when 'ANNIVERSARY' then 1 when 'REMINDER' then 2 else 3 end;
    end if;
    insert into posthaste.event
        (id, key, payload_hash, type, subject, priority, due_at, expires_at, unchecked, correlation_id, attributes,
            payload)
    values (
        event_id, event_key, body_hash, type, subject, rank, due, due + interval '28 days', true,
        publish.correlation_id, attributes::text, body
    )
    on conflict on constraint event_key_is_unique do nothing;
    if not found then
        select e.id, e.type, e.payload_hash into known from posthaste.event e where e.key = event_key;
        if known.id is null then
            -- It was removed in this moment, or this transaction's snapshot is older than it.
            raise exception 'posthaste.publish: the idempotency key % is in use; try again', event_key
                using errcode = '40001';
        end if;
        if known.type = publish.type and known.payload_hash = body_hash then
            return known.id;
        end if;
        raise exception 'posthaste.publish: the idempotency key % was used with another type or payload', event_key
            using errcode = '23505';
    end if;
    insert into posthaste.waiting (priority, due_at, event_id) values (rank, due, event_id);
    if due > posthaste.now() then
        perform posthaste.announce_scheduled(event_id, type, subject, rank, due, correlation_id);
    end if;
    perform posthaste.wake('due');
    return event_id;
end
$$;

-- Publishes `EventScheduled` for an event that is due later, where somebody subscribes to it, as nodes do.
create function posthaste.announce_scheduled(
    event_id uuid,
    type text,
    subject text,
    priority smallint,
    due_at timestamptz,
    correlation_id text
) returns void
language plpgsql
as $$
declare
    own_id uuid := posthaste.new_event_id();
    told_at timestamptz := posthaste.now();
    rank smallint;
    content text;
begin
    if not exists (select from posthaste.subscription s where s.topic = 'EventScheduled') then
        return;
    end if;
    select t.priority into rank from posthaste.topic t where t.name = 'EventScheduled';
    content := posthaste.canonical(jsonb_build_object(
        'eventId', event_id,
        'type', type,
        'subject', subject,
        'priority', (array['CRITICAL', 'HIGH', 'NORMAL', 'LOW'])[priority + 1],
        'dueAt', trim(trailing '.' from trim(trailing '0' from
            to_char(due_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'))) || 'Z',
        'scheduleId', null
    ));
    insert into posthaste.event
        (id, key, payload_hash, type, subject, priority, due_at, expires_at, unchecked, correlation_id, payload)
    values (
        own_id, 'EventScheduled:' || event_id, sha256(convert_to(content, 'UTF8')), 'EventScheduled', subject, rank,
        told_at, told_at + interval '28 days', true, correlation_id, convert_to(content, 'UTF8')
    )
    on conflict on constraint event_key_is_unique do nothing;
    if found then
        insert into posthaste.waiting (priority, due_at, event_id) values (rank, told_at, own_id);
    end if;
end
$$;

-- Sends a message to a queue when this transaction commits. Answers with the message's id.
--
-- No node sees it now. It has 0 for a subscription, which is none, until it is claimed for the first time: so the node
-- that claims it knows to count it as sent.
--
-- It runs with the rights of the schema's owner, as posthaste.publish does: the log that it writes to is the queue's own.
create function posthaste.send(
    queue text,
    payload jsonb,
    -- null is the queue's own delay.
    delay_seconds integer default null,
    attributes jsonb default null
) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    target record;
    message_id bigint;
    body bytea := convert_to(payload::text, 'UTF8');
begin
    if payload is null then
        raise exception 'posthaste.send: `payload` must not be null' using errcode = '22004';
    end if;
    if attributes is not null and jsonb_typeof(attributes) <> 'object' then
        raise exception 'posthaste.send: `attributes` must be a JSON object' using errcode = '22023';
    end if;
    if octet_length(body) + octet_length(coalesce(attributes::text, '')) > 262144 then
        raise exception 'posthaste.send: `payload` and `attributes` have % bytes, at most 262144 are allowed',
            octet_length(body) + octet_length(coalesce(attributes::text, '')) using errcode = '22023';
    end if;
    select q.id, q.segment, q.delay_seconds, q.retention_seconds into target from posthaste.queue q where q.name = queue;
    if target.id is null then
        raise exception 'posthaste.send: there is no queue `%`', queue using errcode = '42704';
    end if;
    if queue in ('critical', 'high', 'normal', 'low') then
        raise exception 'posthaste.send: the queue `%` is for what goes to endpoints: nobody pulls from it', queue
            using errcode = '22023', hint = 'publish an event, or send to a queue of your own';
    end if;
    delay_seconds := coalesce(delay_seconds, target.delay_seconds);
    if delay_seconds < 0 or delay_seconds >= target.retention_seconds then
        raise exception 'posthaste.send: `delay_seconds` is %, expected 0 to the retention of %', delay_seconds,
            target.retention_seconds using errcode = '22023';
    end if;
    if delay_seconds > 0 then
        insert into posthaste.deferred (id, queue_id, visible_at, subscription_id, sent_at, attributes, payload)
        values (
            nextval('posthaste.message_seq'), target.id,
            posthaste.now() + make_interval(secs => delay_seconds), 0, posthaste.now(), attributes::text, body
        )
        returning id into message_id;
        perform posthaste.wake('due');
    else
        execute format(
            'insert into posthaste.log_%s_%s (subscription_id, attributes, payload) values (0, $1, $2) returning seq',
            target.id, target.segment
        ) into message_id using attributes::text, body;
        perform posthaste.wake('queue:' || target.id);
    end if;
    return message_id;
end
$$;

-- Both act for the owner, so that nobody may call them who was not allowed to.
revoke execute on function posthaste.publish(
    text, jsonb, text, timestamptz, text, text, jsonb, text, timestamp, text
), posthaste.send(text, jsonb, integer, jsonb) from public;
