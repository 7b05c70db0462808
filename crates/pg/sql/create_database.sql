-- purpose: the database of the local server, made once after the cluster.
-- params: none.
-- locks: the catalog's own, briefly.
-- index: none.
create database posthaste
