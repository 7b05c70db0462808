-- purpose: lets plans of this session be made without regard to the values of parameters
-- params: none
-- locks: none
-- index: none
select set_config('plan_cache_mode', 'force_generic_plan', false);
