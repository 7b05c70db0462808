-- purpose: keep a column's successor in step for rows that are written meanwhile
-- params: {function} and {successor} quoted; {alias} is what {expression} calls the table
-- locks: none
-- index: none
create function {function}() returns trigger language plpgsql as $sync$
begin
  new.{successor} := (select {expression} from (select new.*) as {alias});
  return new;
end
$sync$
