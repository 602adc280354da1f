"""What all tests share: a clean environment, the real files where they are, and no skip that nobody expects."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtest_pipelines.executions.settings import VARIABLES
from backtest_pipelines_tests.postgres import PostgresServer

REAL_DATA_VARIABLE = "BACKTEST_REAL_DATA"
REAL_DATA_REASON = f"needs real files of the exchange: set {REAL_DATA_VARIABLE} to their folder"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fail-on-skip", action="store_true", help="fail when any test is skipped")


def pytest_configure() -> None:
    # A shell starts what it puts in the background with SIGINT ignored, and every child of a test would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real exchange files, which are not part of the project."""
    named = os.environ.get(REAL_DATA_VARIABLE)
    if not named:
        pytest.skip(REAL_DATA_REASON)
    folder = Path(named).absolute()
    assert folder.is_dir(), f"{REAL_DATA_VARIABLE} names {folder}, which is no folder"
    return folder


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no setting of the developer's shell reach a test."""
    for name in (*VARIABLES, "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A Postgres server that all tests share: take a database of your own, and leave the server running."""
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """Address of an empty Postgres database that nobody else uses."""
    return postgres_server.new_database()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    needing = [report.nodeid for report in skipped if REAL_DATA_REASON in str(report.longrepr)]
    if needing:
        terminalreporter.section("not run for want of real exchange files")
        terminalreporter.write_line(f"{len(needing)} tests; {REAL_DATA_REASON}")
        for name in needing:
            terminalreporter.write_line(f"  {name}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--fail-on-skip") and reporter and reporter.stats.get("skipped") and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
