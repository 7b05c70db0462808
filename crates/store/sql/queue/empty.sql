-- purpose: give back the space of a segment that is not needed any more
-- params: none
-- locks: access exclusive on the segment's tables, held already
-- index: none
truncate posthaste.{log}, posthaste.{lease}
