"""Tests of the panel: formats, ingest and the store."""
