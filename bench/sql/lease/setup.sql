-- A table with a lease per row: claiming updates each row, settling deletes it.
create schema lease;
create table lease.message (
    id bigint generated always as identity primary key,
    visible_at timestamptz not null default now(),
    receives int not null default 0,
    payload text not null
);
create index message_visible_at on lease.message (visible_at, id);
