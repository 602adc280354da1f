"""Dagster's definitions and nothing else: assets, jobs, partitions, configs, resources, sensors, schedules.

The folder is loaded whole. An asset's body turns config into one call of a plain function and its result into
metadata; what the domain knows stays in the other rooms.
"""
