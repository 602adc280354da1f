"""Real files of the exchange: the command line ingests them, and all parameters give the reference's trades."""

import shutil
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import product
from pathlib import Path

import dagster as dg
import pytest

from backtest_pipelines.definitions import defs
from backtest_pipelines.defs.daily_files import SESSIONS
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines_tests.cli.conftest import process
from backtest_pipelines_tests.comparison import asked, engine_rows, notice_rows, plain_rows, reference_rows
from backtest_pipelines_tests.defs.runs import WEEKLY, run_variant
from backtest_pipelines_tests.reference.market import Market, read_folder
from backtest_pipelines_tests.reference.question import Question

SYMBOLS = ("NIFTY", "BANKNIFTY", "FINNIFTY")
FEBRUARY = (date(2025, 2, 1), date(2025, 2, 28))


@pytest.fixture(scope="module")
def files(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    for path in (*(real_data / "bhavcopy" / "udiff").iterdir(), *(real_data / "bhavcopy" / "legacy").iterdir()):
        shutil.copyfile(path, folder / path.name)
    return folder


@pytest.fixture(scope="module")
def market(files: Path) -> Market:
    return read_folder(files)


@pytest.fixture(scope="module")
def store(files: Path, tmp_path_factory: pytest.TempPathFactory) -> PanelStore:
    home = tmp_path_factory.mktemp("home")
    done = process("ingest", files, "--home", home)
    assert done.code == 0, done.err
    return PanelStore(home / "panel")


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("sessions_before", [0, 1, 2])
def test_real_files_give_the_trades_of_the_reference(
    store: PanelStore, market: Market, symbol: str, sessions_before: int
) -> None:
    trades_found = 0
    own = Market([quote for quote in market.quotes if quote.symbol == symbol], market.index_closes)
    # Every session is one of the symbol's, as the real files hold all three symbols.
    base = Question(sessions_before=sessions_before, symbol=symbol)
    for kind, move, position in product((0, 1, 2, 3), ("0.25", "0.8", "2"), ("-1.5", "0", "0.3333", "1", "2.5")):
        question = replace(
            base, spot_adjustment_type=kind, spot_adjustment=Decimal(move), call_sell_position=Decimal(position)
        )
        found = engine_rows(store, asked(question))
        assert found == reference_rows(own, question), question
        trades_found += len(found[0])
    # One expiry a month is no window: only NIFTY has weeklies in February 2025.
    assert (trades_found > 0) == (symbol == "NIFTY")


def test_dates_phases_exits_and_costs_on_real_files(store: PanelStore, market: Market) -> None:
    nifty = Market([quote for quote in market.quotes if quote.symbol == "NIFTY"], market.index_closes)
    for before, kind, exit_rule, brokerage, phases in product(
        (0, 1, 2),
        (0, 3),
        ("close", "intrinsic"),
        (None, Decimal(20)),
        ([], [FEBRUARY], [(date(2025, 2, 4), date(2025, 2, 12)), (date(2025, 2, 15), date(2025, 2, 24))]),
    ):
        question = Question(
            sessions_before=before,
            spot_adjustment_type=kind,
            spot_adjustment=Decimal("0.5"),
            from_date=FEBRUARY[0],
            to_date=date(2025, 2, 27),
            phases=phases,
            exit_at_expiry=exit_rule,
            brokerage_inr_per_order=brokerage,
        )
        found = engine_rows(store, asked(question))
        assert found == reference_rows(nifty, question), question
        assert found[0]


def test_the_daily_files_asset_ingests_the_same_and_a_variant_gives_the_trades_of_the_reference(
    files: Path, store: PanelStore, market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKTEST_HOME", str(tmp_path))
    monkeypatch.setenv("BACKTEST_INBOX", str(files))
    sessions = sorted({quote.session.isoformat() for quote in market.quotes})
    location = defs()
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(SESSIONS, sessions)
        ingested = location.resolve_job_def("daily_files_job").execute_in_process(
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": sessions[0],
                "dagster/asset_partition_range_end": sessions[-1],
            },
        )
        assert ingested.success
        config = {"spot_adjustment_type": 3, "spot_adjustment": 0.8, "from_date": "2025-02-01", "use_cache": False}
        result = run_variant(location, instance, config)
        assert result.success
        answer = result.output_for_node(WEEKLY).answer
    panels = PanelStore(tmp_path / "panel")
    assert {name: panels.symbol(name).digest for name in SYMBOLS} == {
        name: store.symbol(name).digest for name in SYMBOLS
    }
    question = Question(spot_adjustment_type=3, spot_adjustment=Decimal("0.8"), from_date=FEBRUARY[0])
    nifty = Market([quote for quote in market.quotes if quote.symbol == "NIFTY"], market.index_closes)
    assert (plain_rows(answer.trades), notice_rows(answer.notices)) == reference_rows(nifty, question)
    assert answer.row_count > 0
