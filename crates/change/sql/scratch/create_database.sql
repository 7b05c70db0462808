-- purpose: make a database on a throw-away server, as a copy of another
-- params: {name} and {model} are names of databases, made by us
-- locks: none that anybody waits for
-- index: none; it works on the cluster's catalog
create database {name} template {model}
