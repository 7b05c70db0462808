-- script: partitions get what their parent has
-- since: 12
create table p (id bigint not null, at timestamptz not null default now(), kind text check (kind <> ''), user_id int, primary key (id, at)) partition by range (at);
create table u (id int primary key);
alter table p add foreign key (user_id) references u on delete cascade;
create index on p (kind);
create unique index p_kind on p (kind, at);
create table p1 partition of p for values from ('2024-01-01') to ('2024-02-01');
create table p2 partition of p (kind default 'x') for values from ('2024-02-01') to ('2024-03-01');
create table rest partition of p default;
create table p3 (like p including defaults including constraints);
create index own on p3 (kind);
alter table p attach partition p3 for values from ('2024-03-01') to ('2024-04-01');
alter table p add column note text default 'n', add constraint note_is_short check (length(note) < 100);
alter table p alter note set not null;
create index on p (lower(note));
alter table p rename column note to remark;
alter table p drop column kind;
alter table p detach partition p1;
drop table p2;
drop index p_lower_idx;
drop table p;

-- script: an index that is attached part by part
-- since: 12
create table p (a int, b int) partition by list (a);
create table p1 partition of p for values in (1, 2);
create table p2 partition of p for values in (3);
create index whole on only p (b);
create index one on p1 (b);
create index two on p2 (b);
alter index whole attach partition one;
alter index whole attach partition two;
create table p3 partition of p for values in (null);
drop index whole;

-- script: below partitions
-- since: 12
create table p (a int, b int, c text) partition by hash (a);
create table p1 partition of p for values with (modulus 2, remainder 0) partition by list (b);
create table p11 partition of p1 for values in (1);
create index on p (c);
alter table p add unique (a, b);
alter table p add d int default 5 not null;
create table p12 partition of p1 default;
alter table p rename constraint p_a_b_key to key_of_p;
alter table p drop constraint key_of_p;
drop table p;

-- script: triggers of partitioned tables
-- since: 13
create function f() returns trigger language plpgsql as 'begin return new; end';
create table p (a int, b int) partition by list (a);
create table p1 partition of p for values in (1);
create trigger t after insert on p for each row execute function f();
create trigger s after insert on p for each statement execute function f();
create table p2 partition of p for values in (2);
alter table p detach partition p1;
drop trigger t on p;
