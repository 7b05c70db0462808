-- purpose: the next statements read through an index where they can, or from the heap again.
-- params: $1 `on` for the index, $2 `off` then, and the other way round for the heap.
-- locks: none.
-- index: none.
select
  set_config('enable_indexscan', $1, false),
  set_config('enable_indexonlyscan', $1, false),
  set_config('enable_seqscan', $2, false)
