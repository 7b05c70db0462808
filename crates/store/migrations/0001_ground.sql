-- The whole schema of the first release. Applied in one transaction, under the schema's advisory lock.
--
-- Two rules shape it. Payloads are written once. What happens to every message (insert, claim, settle) is
-- append-mostly, so that nobody's long snapshot and no backlog slows it down; what is the exception (retry,
-- delay, death) may cost a row of its own.

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
    -- [{"secret": "whsec_...", "until": null | time}], the newest first; more than one while a rotation overlaps.
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
    paused boolean not null default false,
    declared boolean not null default false,
    created_at timestamptz not null default posthaste.now(),
    constraint subscription_has_one_destination check (num_nonnulls(queue_id, endpoint_id) = 1)
);
create index subscription_topic on posthaste.subscription (topic);

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
    -- The date of the subject that a yearly schedule follows ("birthday"), when it follows one.
    follows text,
    rule jsonb not null,
    zone text not null,
    at time not null default '09:00',
    priority smallint check (priority between 0 and 3),
    attributes jsonb not null default '{}',
    payload jsonb not null default '{}',
    status text not null default 'active' check (status in ('active', 'paused', 'cancelled', 'finished')),
    -- The occurrence that waits or is under way; none when paused, cancelled or finished.
    event_id uuid,
    next_at timestamptz,
    occurrences bigint not null default 0,
    created_at timestamptz not null default posthaste.now(),
    updated_at timestamptz not null default posthaste.now()
);
create index schedule_subject on posthaste.schedule (subject);

create table posthaste.event (
    id uuid primary key,
    -- The idempotency key, unique over all events that are kept: a duplicate is refused whenever it comes.
    key text not null,
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

create table posthaste.redrive (
    id bigint generated always as identity primary key,
    queue_id integer references posthaste.queue (id),
    filter jsonb not null,
    status text not null default 'running' check (status in ('running', 'done', 'cancelled')),
    total integer not null,
    moved integer not null default 0,
    jitter_seconds integer not null,
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
create index dead_letter_queue on posthaste.dead_letter (queue_id, died_at);
create index dead_letter_died on posthaste.dead_letter (died_at);
create index dead_letter_event on posthaste.dead_letter (event_id) where event_id is not null;
create index dead_letter_redrive on posthaste.dead_letter (redrive_at) where redrive_id is not null;

-- Dead letters that were discarded or outlived their retention, whole, with who did it and why.
create table posthaste.dead_letter_archive (
    archived_at timestamptz not null default posthaste.now(),
    archived_by text not null,
    reason text not null,
    id bigint primary key,
    queue_id integer not null,
    message_id bigint not null,
    event_id uuid,
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
