-- Purpose: the database of the local server, made once after the cluster.
-- Parameters: none.
-- Locks: the catalog's own, briefly.
-- Index: none.
create database posthaste
