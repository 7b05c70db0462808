-- purpose: mark a redrive as cancelled, if it is running
-- params: $1 redrive id
-- locks: row lock on redrive
-- index: redrive primary key
update posthaste.redrive r
set status = 'cancelled', finished_at = posthaste.now()
where r.id = $1 and r.status = 'running'
