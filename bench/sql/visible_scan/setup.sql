-- A bare table with a visibility column that is only filtered on, as is often seen.
create schema visible_scan;
create table visible_scan.message (
    id bigint generated always as identity primary key,
    visible_at timestamptz not null default now(),
    payload text not null
);
