"""Tests of executing requests and of their records."""
