"""Tests of Dagster's definitions: real runs in this process, on ephemeral instances and a small sample market."""
