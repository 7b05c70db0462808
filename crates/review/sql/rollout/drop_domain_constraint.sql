-- purpose: take a constraint of a domain away
-- params: {domain} and {constraint} quoted
-- locks: none on tables
-- index: none
alter domain {domain} drop constraint {constraint}
