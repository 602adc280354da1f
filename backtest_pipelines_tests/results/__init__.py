"""Tests of answers: their bytes, files and cache."""
