"""Hand-worked cases of the engine's parts."""
