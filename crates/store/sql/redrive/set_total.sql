-- purpose: tell how many letters a redrive has taken; one that found none is done
-- params: $1 redrive id, $2 letters
-- locks: row lock on redrive
-- index: redrive primary key
update posthaste.redrive r
set
    total = $2,
    status = case when $2 = 0 then 'done' else r.status end,
    finished_at = case when $2 = 0 then posthaste.now() end
where r.id = $1
