"""Tests of questions and the catalogue."""
