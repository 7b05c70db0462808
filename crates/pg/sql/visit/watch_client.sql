-- purpose: the server looks once a second whether the client is still there, and ends the work of one that has gone.
-- params: none.
-- locks: none.
-- index: none.
select set_config('client_connection_check_interval', '1000', false)
