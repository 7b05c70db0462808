-- purpose: make an empty database on a throw-away server
-- params: {name} is the database's name, made by us
-- locks: none that anybody waits for
-- index: none; it works on the cluster's catalog
create database {name} template template0
