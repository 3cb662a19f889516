/* Complain if this file is read by psql instead of CREATE EXTENSION. */
\echo Use "CREATE EXTENSION telehealth CASCADE" to load this file. \quit

SET LOCAL search_path TO pg_catalog, pg_temp;
