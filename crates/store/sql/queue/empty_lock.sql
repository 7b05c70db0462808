-- purpose: take a segment out of use for the moment of emptying it, or give up at once
-- params: none
-- locks: access exclusive on the segment's log and lease tables, with a lock timeout of 50 ms
-- index: none
do $$
begin
    set local lock_timeout = '50ms';
    lock table posthaste.{log}, posthaste.{lease} in access exclusive mode;
end
$$
