"""The tables, and the steps by which a database of an earlier release gets them."""

from __future__ import annotations

from typing import Final

from backtest_pipelines.errors import BadDataError
from backtest_pipelines.records.buckets import LIMITS_MS

_EXECUTIONS: Final = """
CREATE TABLE executions (
    id {identity},
    variant TEXT NOT NULL,
    parameters TEXT NOT NULL CHECK ({json_check}),
    symbol TEXT NOT NULL,
    door TEXT NOT NULL CHECK (door IN ('cli', 'dagster', 'python', 'rest')),
    started_at TEXT NOT NULL,
    duration_ms {real} NOT NULL CHECK (duration_ms >= 0),
    outcome TEXT NOT NULL CHECK (outcome IN ('completed', 'failed')),
    cached INTEGER NOT NULL CHECK (cached = CASE WHEN tier IS NULL THEN 0 ELSE 1 END),
    tier TEXT CHECK (tier IN ('redis', 'file')),
    row_count INTEGER CHECK (row_count >= 0),
    error_type TEXT CHECK ((error_type IS NOT NULL) = (outcome = 'failed')),
    error_message TEXT,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    run_id TEXT,
    request_id TEXT UNIQUE,
    fingerprint TEXT
){strict};
CREATE UNIQUE INDEX executions_by_run ON executions (run_id, symbol, variant, attempt)
    WHERE run_id IS NOT NULL;
CREATE INDEX executions_by_start ON executions (started_at);
CREATE INDEX executions_by_variant ON executions (variant, started_at);
"""

_SERVICE: Final = """
CREATE TABLE claims (
    run_id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('held', 'lost', 'cancelled', 'done')),
    beat_s {real} NOT NULL,
    since_s {real} NOT NULL,
    cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    deaths INTEGER NOT NULL DEFAULT 0 CHECK (deaths >= 0)
){strict};
CREATE INDEX claims_held ON claims (run_id) WHERE state = 'held';
CREATE TABLE admission (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    owner TEXT,
    since_s {real} NOT NULL,
    until_s {real} NOT NULL
){strict};
INSERT INTO admission (id, owner, since_s, until_s) VALUES (1, NULL, 0, 0);
CREATE TABLE workers (
    owner TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    run_id TEXT,
    beat_s {real} NOT NULL,
    started_s {real} NOT NULL
){strict};
CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY,
    request_id TEXT UNIQUE,
    body_digest TEXT NOT NULL,
    variant TEXT NOT NULL,
    symbol TEXT NOT NULL,
    request TEXT NOT NULL,
    submitted_s {real} NOT NULL,
    run_id TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    launched INTEGER NOT NULL DEFAULT 0 CHECK (launched IN (0, 1)),
    ended_state TEXT CHECK (ended_state IN ('completed', 'failed', 'cancelled')),
    ended_s {real} CHECK ((ended_s IS NULL) = (ended_state IS NULL))
){strict};
CREATE INDEX jobs_by_submission ON jobs (submitted_s);
CREATE INDEX jobs_by_variant ON jobs (variant, submitted_s);
CREATE INDEX jobs_open ON jobs (submitted_s) WHERE ended_state IS NULL;
"""

_BUCKETS: Final = " ".join(f"WHEN duration_ms <= {limit!r} THEN {number}" for number, limit in enumerate(LIMITS_MS))
_MONITORING: Final = f"""
ALTER TABLE jobs ADD COLUMN execution_id {{integer}};
{{number_jobs}};
CREATE UNIQUE INDEX jobs_by_execution ON jobs (execution_id);
ALTER TABLE executions ADD COLUMN job_id TEXT;
CREATE INDEX executions_failed ON executions (variant, id) WHERE outcome = 'failed';
CREATE TABLE durations (
    variant TEXT NOT NULL,
    door TEXT NOT NULL,
    outcome TEXT NOT NULL,
    tier TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    executions {{integer}} NOT NULL,
    sum_ms {{real}} NOT NULL,
    min_ms {{real}} NOT NULL,
    max_ms {{real}} NOT NULL,
    last_started_at TEXT NOT NULL,
    PRIMARY KEY (variant, door, outcome, tier, bucket)
){{strict}};
INSERT INTO durations
SELECT variant, door, outcome, coalesce(tier, 'none'), CASE {_BUCKETS} ELSE {len(LIMITS_MS)} END, count(*),
    sum(duration_ms), min(duration_ms), max(duration_ms), max(started_at)
FROM executions GROUP BY 1, 2, 3, 4, 5;
CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
){{strict}};
CREATE TABLE invalidations (
    variant TEXT NOT NULL,
    symbol TEXT NOT NULL,
    before_s {{real}} NOT NULL,
    PRIMARY KEY (variant, symbol)
){{strict}};
"""  # noqa: S608 - numbers of this package

_STEPS: Final = (_EXECUTIONS, _SERVICE, _MONITORING)
VERSION: Final = len(_STEPS)
"""Schema version of this release: the number of steps taken from an empty database."""

_NUMBER_JOBS_IN_SQLITE: Final = """
INSERT INTO sqlite_sequence (name, seq)
SELECT 'executions', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'executions');
UPDATE jobs SET execution_id = (SELECT seq FROM sqlite_sequence WHERE name = 'executions')
    + (SELECT count(*) FROM jobs AS earlier WHERE earlier.job_id <= jobs.job_id);
UPDATE sqlite_sequence SET seq = seq + (SELECT count(*) FROM jobs) WHERE name = 'executions'
"""

SQLITE: Final = {
    "{number_jobs}": _NUMBER_JOBS_IN_SQLITE,
    "{identity}": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "{integer}": "INTEGER",
    "{json_check}": "json_valid(parameters)",
    "{real}": "REAL",
    "{strict}": " STRICT",
}
POSTGRES: Final = {
    "{number_jobs}": "UPDATE jobs SET execution_id = nextval(pg_get_serial_sequence('executions', 'id'))",
    "{identity}": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "{integer}": "BIGINT",
    "{json_check}": "parameters::json IS NOT NULL",
    "{real}": "DOUBLE PRECISION",
    "{strict}": "",
}


def statements_from(version: int, dialect: dict[str, str], name: str) -> list[str]:
    """Return the statements that bring a database of a version, 0 for an empty one, to this release's.

    Parameters
    ----------
    version : int
    dialect : {SQLITE, POSTGRES}
    name : str
        Of the database, for the error.

    Raises
    ------
    BadDataError
        If it was written by a later release.
    """
    if not 0 <= version <= VERSION:
        raise BadDataError(name, f"its schema version is {version}, this release knows up to {VERSION}")
    text = "".join(_STEPS[version:])
    for token, meaning in dialect.items():
        text = text.replace(token, meaning)
    return [statement.strip() for statement in text.split(";")[:-1]]
