"""Faults on purpose: a whole installation in processes of its own, hurt at times drawn from a seed, then checked."""
