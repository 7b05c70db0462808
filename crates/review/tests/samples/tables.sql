-- The tables that `migration.sql` is for, with rows: `psql -v users=2500000 -f tables.sql`.
create table users (
    id uuid primary key,
    email character varying(255) not null unique,
    first_name text,
    last_name text,
    created_at timestamptz not null default now()
);
create table companies (id uuid primary key, name text not null);
create table jobs (
    id uuid primary key,
    company_id uuid not null references companies (id),
    title text not null,
    status text not null,
    created_at timestamptz not null default now()
);
create table subscriptions (
    id bigint generated always as identity primary key,
    user_id uuid not null references users (id),
    status text not null,
    plan_type text not null
);
create table user_job_matches (
    user_id uuid not null references users (id),
    job_id uuid not null references jobs (id),
    score numeric(6, 2) not null,
    primary key (user_id, job_id)
);
create table job_applications (
    id bigint generated always as identity primary key,
    user_id uuid not null,
    job_id uuid not null references jobs (id),
    applied_at timestamptz not null default now(),
    constraint fk_job_applications_user foreign key (user_id) references users (id) on delete cascade
);
create index job_applications_user_id on job_applications (user_id);

create function key_of(kind text, number bigint) returns uuid language sql immutable
    return md5(kind || number)::uuid;

insert into users (id, email, first_name, last_name)
    select key_of('user', n), 'user' || n || '@example.com', 'First' || n % 500, 'Last' || n % 5000
    from generate_series(1, :users) n;
insert into companies select key_of('company', n), 'Company ' || n from generate_series(1, 1 + :users / 500) n;
insert into jobs (id, company_id, title, status)
    select key_of('job', n), key_of('company', 1 + n % (1 + :users / 500)), 'Job ' || n,
        case when n % 3 = 0 then 'active' else 'closed' end
    from generate_series(1, 1 + :users / 20) n;
insert into subscriptions (user_id, status, plan_type)
    select key_of('user', n * 6), case when n % 4 = 0 then 'cancelled' else 'active' end,
        (array['basic', 'premium', 'enterprise'])[1 + n % 3]
    from generate_series(1, :users / 6) n;
-- One user in five hundred has a score above 100.
insert into user_job_matches
    select key_of('user', n), key_of('job', 1 + (n * 7 + m) % (1 + :users / 20)),
        case when n % 500 = 0 then 140 else (n * m) % 100 end
    from generate_series(1, :users) n, generate_series(1, 8) m
    on conflict do nothing;
insert into job_applications (user_id, job_id)
    select key_of('user', n), key_of('job', 1 + n % (1 + :users / 20)) from generate_series(1, :users * 2 / 3) n;
