"""Benchmarks: `make bench` prints figures and ratios of the shipped code beside its alternatives."""
