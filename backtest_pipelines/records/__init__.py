"""Tables that outlive a process: executions, jobs, claims on runs, workers. One SQLite file, or a Postgres schema."""
