"""What is kept and for how long: the limits, the report, and the files of logs and runs. Nothing here knows Dagster."""
