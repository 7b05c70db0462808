-- purpose: the sums of items by what they belong to.
-- params: none; `{keys}`, `{item}` and `{child}` are put in.
-- locks: ACCESS SHARE on the table of items.
-- index: none.
select {keys}, sum({item}) as items from {child} as c group by {keys}
