-- purpose: a step that declares an index on a partitioned table alone, for its partitions' indexes to be attached
-- params: {name}, {table} and {columns} quoted, {method}
-- locks: SHARE on the parent, for a moment
-- index: none: a step of a plan
create index {name} on only {table} using {method} ({columns});
