-- purpose: keep a column and the one that stands for its new name in step: who writes one writes both
-- params: {function}, {from} and {to} quoted
-- locks: none
-- index: none
create function {function}() returns trigger language plpgsql as $same$
begin
  if tg_op = 'INSERT' then
    if new.{to} is not null then
      new.{from} := new.{to};
    end if;
  elsif new.{to} is distinct from old.{to} and new.{from} is not distinct from old.{from} then
    new.{from} := new.{to};
  end if;
  new.{to} := new.{from};
  return new;
end
$same$
