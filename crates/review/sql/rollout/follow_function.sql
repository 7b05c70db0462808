-- purpose: keep a former column in step with what took its place; a value that its type cannot hold is none in it
-- params: {function}, {former} and {column} quoted
-- locks: none
-- index: none
create function {function}() returns trigger language plpgsql as $sync$
begin
  begin
    new.{former} := new.{column};
  exception when others then
    new.{former} := null;
  end;
  return new;
end
$sync$
