"""What a Postgres does that an SQLite file cannot: it dies, stands still, comes back, and serves others as well."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg2
import pytest

from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.records import postgres as postgres_module
from backtest_pipelines.records.claims import Claims
from backtest_pipelines.records.database import Database
from backtest_pipelines_tests.postgres import PostgresServer


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server that a test may stop, kill and pause."""
    with PostgresServer(tmp_path_factory.mktemp("own")) as server:
        yield server


@pytest.fixture
def own_database(own_server: PostgresServer) -> Iterator[Database]:
    with Database(own_server.new_database()) as database:
        yield database


def lend_at_once(database: Database, count: int) -> None:
    """Have so many connections in the pool."""
    barrier = threading.Barrier(count)

    def lend() -> None:
        with database.connection():
            barrier.wait(30)

    threads = [threading.Thread(target=lend) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_killed_server_is_unavailable_and_when_it_is_back_all_connections_work(
    own_server: PostgresServer, own_database: Database
) -> None:
    claims = Claims(own_database)
    lend_at_once(own_database, 5)
    assert claims.withhold("r")
    own_server.kill()
    with pytest.raises(UnavailableError, match="does not answer"):
        claims.withhold("s")
    own_server.start()
    for _ in range(10):
        assert claims.withhold("s")
    assert claims.get("r") is not None


def test_a_restart_between_two_statements_is_not_noticed(own_server: PostgresServer, own_database: Database) -> None:
    claims = Claims(own_database)
    assert claims.withhold("r")
    own_server.restart()
    assert claims.withhold("r")


def test_a_server_that_dies_during_a_transaction_keeps_nothing_of_it(
    own_server: PostgresServer, own_database: Database
) -> None:
    add = "INSERT INTO workers (owner, host, pid, beat_s, started_s) VALUES (?, 'host', 1, {now}, {now})"

    def add_two() -> None:
        with own_database.transaction() as connection:
            connection.execute(add, "a")
            own_server.kill()
            connection.execute(add, "b")

    with pytest.raises(UnavailableError):
        add_two()
    own_server.start()
    with own_database.connection() as connection:
        assert connection.execute("SELECT owner FROM workers").all() == []


def test_a_server_that_stands_still_costs_a_statement_its_time_and_no_more(
    own_server: PostgresServer, own_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = Claims(own_database)
    assert claims.withhold("r")
    monkeypatch.setattr(postgres_module, "CONNECT_TIMEOUT_S", 0.3)
    monkeypatch.setattr(postgres_module, "STATEMENT_TIMEOUT_S", 0.3)
    monkeypatch.setattr(postgres_module, "_SERVER_GRACE_S", 0.0)
    own_server.pause()
    start = time.monotonic()
    for _ in range(2):  # the first on a connection that is open, the second on a new one
        with pytest.raises(UnavailableError, match="no answer in time"):
            claims.withhold("s")
    assert time.monotonic() - start < 2
    own_server.resume()
    assert claims.withhold("s")


def test_a_statement_that_takes_too_long_is_ended_by_the_server_and_the_connection_serves_on(
    postgres_url: str,
) -> None:
    with Database(postgres_url) as database, database.connection() as connection:
        connection.execute("SET statement_timeout TO 100")
        with pytest.raises(UnavailableError, match="statement timeout"):
            connection.execute("SELECT pg_sleep(5)")
        assert connection.execute("SELECT 1").one() == (1,)


def test_an_unknown_host_or_a_closed_port_is_unavailable_and_the_password_is_not_said() -> None:
    with Database("postgresql://user:secret@127.0.0.1:9/db") as database:
        with pytest.raises(UnavailableError, match=r"postgresql://user@127\.0\.0\.1:9/db does not answer") as caught:
            Claims(database).get("r")
        assert "secret" not in str(caught.value)


def test_no_more_than_ten_connections_are_open_however_many_threads_ask(postgres_url: str) -> None:
    with Database(postgres_url) as database:
        open_ones = []

        def look() -> None:
            with database.connection() as connection:
                row = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name = 'backtest-pipelines'"
                ).one()
                assert row is not None
                open_ones.append(row[0])
                time.sleep(0.02)

        threads = [threading.Thread(target=look) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(open_ones) == 30
        assert max(int(str(count)) for count in open_ones) <= 10


def test_the_tables_are_beside_those_of_others_with_the_same_names(postgres_url: str) -> None:
    other = psycopg2.connect(postgres_url)
    with other, other.cursor() as cursor:
        cursor.execute("CREATE TABLE jobs (other INTEGER); CREATE TABLE version (other INTEGER)")
    other.close()
    with Database(postgres_url) as database:
        assert Claims(database).withhold("r")
