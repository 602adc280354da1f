"""Option chains find what a plain loop over the quotes finds."""

from dataclasses import dataclass

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backtest_pipelines.panel.chains import ChainTable, chain_table
from backtest_pipelines.panel.keys import CALL, FUTURE, PUT, contract_keys

INR = 100
SESSIONS, EXPIRIES = (18_000, 18_001, 18_004), (18_004, 18_011)
STRIKES_INR = (50, 100, 150, 200, 300, 300.05, 450, 500, 700)
TARGETS_INR = range(0, 1000, 100)


@dataclass(frozen=True, order=True)
class Contract:
    """A contract on a session; the strike in INR."""

    session: int
    instrument: int
    expiry: int
    strike_inr: float

    def key(self) -> int:
        return int(contract_keys(self.session, self.instrument, self.expiry, round(self.strike_inr * INR)))


OPTIONS = st.builds(
    Contract,
    st.sampled_from(SESSIONS),
    st.sampled_from((CALL, PUT)),
    st.sampled_from(EXPIRIES),
    st.sampled_from(STRIKES_INR),
)
FUTURES = st.builds(Contract, st.sampled_from(SESSIONS), st.just(FUTURE), st.sampled_from(EXPIRIES), st.just(0.0))
MARKETS = st.dictionaries(OPTIONS | FUTURES, st.sampled_from((0, 0, 1, 25)), max_size=60)
TARGETS = [
    Contract(session, instrument, expiry, strike)
    for session in (*SESSIONS, 17_999, 18_002, 18_005)
    for instrument in (FUTURE, CALL, PUT)
    for expiry in (*EXPIRIES, 18_003, 18_012)
    for strike in TARGETS_INR
]
TARGET_KEYS = np.array([target.key() for target in TARGETS], np.int64)


def chains(traded: dict[Contract, int]) -> ChainTable:
    listed = sorted(traded)
    return chain_table(
        np.array([contract.key() for contract in listed], np.int64),
        np.array([traded[contract] for contract in listed], np.int32),
    )


def plain_row(traded: dict[Contract, int], target: Contract) -> int:
    is_listed = target in traded and target.instrument != FUTURE
    return sorted(traded).index(target) if is_listed else -1


def plain_nearest(traded: dict[Contract, int], target: Contract, *, above: bool) -> int:
    found = -1
    for row, contract in enumerate(sorted(traded)):
        is_of_chain = (contract.session, contract.instrument, contract.expiry) == (
            target.session,
            target.instrument,
            target.expiry,
        )
        is_tradable = contract.instrument != FUTURE and traded[contract] > 0 and contract.strike_inr % 100 == 0
        if not (is_of_chain and is_tradable):
            continue
        if above and contract.strike_inr >= target.strike_inr and found == -1:
            found = row
        if not above and contract.strike_inr <= target.strike_inr:
            found = row
    return found


@settings(max_examples=60, deadline=None, derandomize=True)
@example({})
@example({Contract(18_000, FUTURE, 18_004, 0.0): 5})
@example({Contract(18_000, CALL, 18_004, 150): 5, Contract(18_000, CALL, 18_004, 300.05): 5})
@given(MARKETS)
def test_chains_find_what_a_plain_loop_finds(traded: dict[Contract, int]) -> None:
    table = chains(traded)
    assert table.rows(TARGET_KEYS).tolist() == [plain_row(traded, target) for target in TARGETS]
    for above in (True, False):
        expected = [plain_nearest(traded, target, above=above) for target in TARGETS]
        assert table.nearest_traded(TARGET_KEYS, above=above).tolist() == expected


def strikes_found(
    table: ChainTable, traded: dict[Contract, int], strike_inr: float
) -> tuple[float | None, float | None]:
    listed = sorted(traded)
    target = np.array([Contract(18_000, CALL, 18_004, strike_inr).key()])
    rows = [int(table.nearest_traded(target, above=above)[0]) for above in (True, False)]
    above, below = (None if row == -1 else listed[row].strike_inr for row in rows)
    return above, below


def test_a_target_outside_the_ladder_has_neighbours_on_one_side_only() -> None:
    traded = {Contract(18_000, CALL, 18_004, strike): 1 for strike in (200.0, 300.0, 500.0)}
    traded |= {Contract(18_000, CALL, 18_011, 100.0): 1, Contract(18_000, PUT, 18_004, 900.0): 1}
    table = chains(traded)
    assert strikes_found(table, traded, 100) == (200, None)
    assert strikes_found(table, traded, 0) == (200, None)
    assert strikes_found(table, traded, 600) == (None, 500)
    assert strikes_found(table, traded, 400) == (500, 300)
    assert strikes_found(table, traded, 300) == (300, 300)


def test_untraded_ends_of_the_ladder_are_passed_over() -> None:
    contracts = {100.0: 0, 200.0: 4, 300.0: 0, 400.0: 4, 500.0: 0}
    traded = {Contract(18_000, CALL, 18_004, strike): number for strike, number in contracts.items()}
    table = chains(traded)
    assert strikes_found(table, traded, 0) == (200, None)
    assert strikes_found(table, traded, 100) == (200, None)
    assert strikes_found(table, traded, 300) == (400, 200)
    assert strikes_found(table, traded, 500) == (None, 400)
    assert strikes_found(table, traded, 900) == (None, 400)


def test_where_nothing_traded_rows_are_found_but_no_tradable_strike() -> None:
    traded = {Contract(18_000, CALL, 18_004, strike): 0 for strike in (100.0, 200.0)}
    table = chains(traded)
    target = np.array([Contract(18_000, CALL, 18_004, 200.0).key()])
    assert table.rows(target).tolist() == [1]
    assert strikes_found(table, traded, 100) == strikes_found(table, traded, 900) == (None, None)


def test_an_empty_table_answers_any_number_of_targets() -> None:
    table = chains({})
    for targets in (TARGET_KEYS, TARGET_KEYS[:0]):
        assert table.rows(targets).tolist() == [-1] * targets.size
        assert table.nearest_traded(targets, above=True).tolist() == [-1] * targets.size


def test_no_targets_are_answered_by_no_rows() -> None:
    table = chains({Contract(18_000, CALL, 18_004, 200.0): 1})
    assert table.rows(TARGET_KEYS[:0]).size == 0
    assert table.nearest_traded(TARGET_KEYS[:0], above=False).size == 0
