"""Tests, in the shape of the package; see the README for how to run them."""
