-- purpose: whether this role may call a function; {function} is a literal of its signature
-- params: none
-- locks: none
-- index: none
select has_function_privilege({function}, 'execute') as is_allowed;
