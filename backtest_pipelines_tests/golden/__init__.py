"""Answers that were made without the engine: the published trade sheet, and real files read by the reference."""
