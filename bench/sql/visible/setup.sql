-- A bare table with a visibility column and the index that serves it: the best that plain SQL does with delays.
create schema visible;
create table visible.message (
    id bigint generated always as identity primary key,
    visible_at timestamptz not null default now(),
    payload text not null
);
create index message_visible_at on visible.message (visible_at, id);
