"""Tests of records, on SQLite and on Postgres."""
