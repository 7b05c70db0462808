-- purpose: let go of the letters of a redrive that have not gone back
-- params: $1 redrive id
-- locks: row locks on dead_letter; waits for those that are being given back
-- index: dead_letter_run; a redrive has at most 1,000 letters
update posthaste.dead_letter d
set redrive_id = null, redrive_at = null
where d.redrive_id = $1
