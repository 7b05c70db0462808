-- purpose: check every value of a domain against a constraint that holds for new ones
-- params: {domain} and {constraint} quoted
-- locks: SHARE on every table with a column of the domain, for a scan of it
-- index: none
alter domain {domain} validate constraint {constraint}
