"""What starts, watches and stops the processes of an installation. Nothing here imports Dagster: it stays small."""
