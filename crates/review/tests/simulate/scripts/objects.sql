-- script: types and domains
create type mood as enum ('sad', 'happy');
alter type mood add value 'ok' before 'happy';
alter type mood add value if not exists 'ok';
alter type mood rename value 'sad' to 'blue';
create domain age as int default 5 not null check (value > 0) constraint low check (value < 200);
alter domain age add check (value <> 7) not valid;
alter domain age validate constraint age_check1;
alter domain age drop constraint low;
alter domain age drop not null;
alter domain age set default 6;
alter domain age rename constraint age_check to is_positive;
create type pair as (a int, b text);
alter type pair add attribute c mood, drop attribute b;
alter type pair rename attribute a to aa;
create table t (m mood default 'ok', a age, p pair, many mood[], n numeric(5), v varchar(3)[], i interval day to second(3), ch char, b bit varying(3));
alter type mood rename to feeling;
create schema app;
alter type feeling set schema app;
drop type app.feeling;
drop type app.feeling cascade;
drop domain age;
alter table t drop column a;
drop domain age;

-- script: views
create table t (a int, b text, c int);
create view v as select a, b from t;
create view w as select * from v;
create materialized view m as select count(*) as n, c from t group by c;
create unique index on m (c);
alter table t alter c type bigint;
alter table t drop column c;
drop view v;
create or replace view v as select a, b, c from t;
alter view v rename to vv;
alter table t rename to tt;
drop table tt;
drop materialized view m;
drop view vv cascade;
drop table tt;

-- script: functions and triggers
create function f(a int, b text default 'x') returns int language sql immutable as 'select 1';
create function f(a int) returns setof text language sql stable as 'select ''x''::text';
create or replace function f(a int) returns setof text language sql volatile as 'select ''x''::text';
create function g(out a int, out b text) language sql as 'select 1, ''x''::text';
create function h(n numeric) returns table (a int, b text) language sql as 'select 1, ''x''::text';
create procedure p(a varchar(3)) language sql as '';
create function t() returns trigger language plpgsql as 'begin return new; end';
alter function f(int, text) stable;
alter function f(int, text) rename to ff;
drop function f(int);
create table x (a int);
create trigger one before insert on x for each row execute function t();
create constraint trigger two after insert on x deferrable for each row execute function t();
alter trigger one on x rename to three;
alter table x disable trigger three;
alter table x enable always trigger all;
drop trigger two on x;
drop function t();
drop function t() cascade;
drop procedure p(varchar);

-- script: rules, policies, statistics, publications
create table t (a int primary key, b int);
create rule r as on delete to t do instead nothing;
create policy pol on t using (a > 1);
create policy pol2 on t for select using (a > 1);
alter policy pol on t rename to pol3;
create statistics s on a, b from t;
create statistics s2 (mcv) on a, b from t;
create table u (a int);
create publication pub for table t;
alter publication pub add table u;
alter publication pub drop table t;
drop publication pub;
drop rule r on t;
drop policy pol2 on t;
drop statistics s;

-- script: sequences
create sequence s;
create sequence "S 2" as int start 5 minvalue 2 maxvalue 10 increment 3 cycle;
create sequence down increment -1;
alter sequence s increment 5 no maxvalue restart with 7;
create table t (a int default nextval('s'), b serial);
alter sequence "S 2" owned by t.a;
alter sequence s rename to s3;
drop sequence t_b_seq;
drop sequence t_b_seq cascade;
drop sequence down;
drop table t;
