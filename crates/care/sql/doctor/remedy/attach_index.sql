-- purpose: a step that makes a partition's index part of the parent's
-- params: {parent} and {child} quoted names of indexes
-- locks: ACCESS EXCLUSIVE on the child's index, for a moment
-- index: none: a step of a plan
alter index {parent} attach partition {child};
