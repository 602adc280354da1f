"""Notices: why a trade was not made, or what is doubtful about one that was."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from backtest_pipelines.panel.keys import BoolArray, Int32Array, Int64Array
from backtest_pipelines.strategies.variants import Instrument, Leg

NO_DAY = np.iinfo(np.int32).min
NO_STRIKE = -1


class NoticeKind(Enum):
    """The reason of a notice; the order is the order in which notices of one trade are given."""

    EXPIRY_NOT_A_SESSION = (
        "expiry_not_a_session",
        "No trade: an expiry of the window is no session of the data (a file is missing, or the date was moved).",
    )
    WINDOW_TOO_SHORT = (
        "window_too_short",
        "No trade: the trading phases leave a single session of the window.",
    )
    INDEX_CLOSE_MISSING = (
        "index_close_missing",
        "No trade: a session that the window needs has no index close.",
    )
    NO_TRADABLE_STRIKE = (
        "no_tradable_strike",
        "No trade: no strike on the hundred at the wanted distance traded on the entry day.",
    )
    NO_FUTURE_EXPIRY = (
        "no_future_expiry",
        "No trade: the data lists no future of the wanted month.",
    )
    CONTRACT_MISSING_AT_ENTRY = (
        "contract_missing_at_entry",
        "No trade: the contract has no row on the entry day.",
    )
    CONTRACT_MISSING_AT_EXIT = (
        "contract_missing_at_exit",
        "No trade: the contract has no row on the exit day.",
    )
    STALE_CLOSE_AT_EXIT = (
        "stale_close_at_exit",
        "Traded: the contract did not trade on the exit day, its close is an older one.",
    )
    LOT_SIZE_UNKNOWN = (
        "lot_size_unknown",
        "Traded: neither the file nor the table knows the lot, so figures per lot are empty.",
    )
    LOT_SIZE_DIFFERS = (
        "lot_size_differs",
        "Traded: call and future have different lots; figures per lot use the call's.",
    )
    NO_WEEKLY_EXPIRY = (
        "no_weekly_expiry",
        "Traded: the symbol has no weekly expiry in this window, the monthly one is used.",
    )
    MARK_CARRIED = (
        "mark_carried",
        "Traded: a held contract has no row on a session, its last mark is carried in the equity curve.",
    )

    sentence: str

    def __new__(cls, name: str, sentence: str) -> Self:
        """Take the first part as value, the second as the sentence for users."""
        kind = object.__new__(cls)
        kind._value_ = name
        kind.sentence = sentence
        return kind

    @property
    def prevents_trade(self) -> bool:
        """Whether the trade or window was left out."""
        return self.sentence.startswith("No trade")


KINDS = tuple(NoticeKind)
_ORDER = {kind: number for number, kind in enumerate(KINDS)}


class EntersAndLeaves(Protocol):
    """Trades, made or only thought of, with their dates in days since 1970-01-01."""

    @property
    def entry_date(self) -> Int32Array: ...  # noqa: D102 - see the class

    @property
    def exit_date(self) -> Int32Array: ...  # noqa: D102 - see the class


@dataclass(slots=True)
class Notices:
    """Notices in parallel arrays, gathered block by block."""

    _blocks: list[tuple[int, str, int, list[npt.NDArray[np.int64]]]] = field(default_factory=list)

    def add(
        self,
        kind: NoticeKind,
        *,
        day: Int32Array,
        leg: str = "",
        entry: Int32Array | None = None,
        leave: Int32Array | None = None,
        expiry: Int32Array | None = None,
        strike_paise: Int64Array | None = None,
    ) -> None:
        """Add one notice for each element of ``day``.

        Parameters
        ----------
        kind : NoticeKind
        day : int32[n]
            The session concerned.
        leg : str
            Name of the leg, or empty.
        entry, leave, expiry : int32[n], optional
            Days since 1970-01-01.
        strike_paise : int64[n], optional
        """
        if day.size == 0:
            return
        columns = [
            np.full(day.shape, missing, np.int64) if values is None else values.astype(np.int64)
            for values, missing in (
                (entry, NO_DAY),
                (leave, NO_DAY),
                (expiry, NO_DAY),
                (strike_paise, NO_STRIKE),
                (day, NO_DAY),
            )
        ]
        self._blocks.append((_ORDER[kind], leg, day.size, columns))

    def add_trades(
        self,
        kind: NoticeKind,
        concerned: BoolArray,
        trades: EntersAndLeaves,
        leg: Leg,
        *,
        day: Int32Array,
        expiry: Int32Array | None = None,
        strike_paise: Int64Array | None = None,
    ) -> None:
        """Add one notice for each of n trades that is concerned.

        Parameters
        ----------
        kind : NoticeKind
        concerned : bool[n]
        trades : EntersAndLeaves
        leg : Leg
        day : int32[n]
            The session concerned.
        expiry : int32[n], optional
        strike_paise : int64[n], optional
            Not given on for a future.
        """
        rows = concerned.nonzero()[0]
        if rows.size == 0:
            return
        is_future = leg.instrument is Instrument.FUTURE
        self.add(
            kind,
            day=day[rows],
            leg=leg.name,
            entry=trades.entry_date[rows],
            leave=trades.exit_date[rows],
            expiry=None if expiry is None else expiry[rows],
            strike_paise=None if strike_paise is None or is_future else strike_paise[rows],
        )

    def extend(self, other: Notices) -> None:
        """Add all notices of another set."""
        self._blocks.extend(other._blocks)

    def table(self) -> NoticeTable:
        """Return all notices, ordered by entry (or session), exit, kind and leg."""
        if not self._blocks:
            none = np.zeros(0, np.int64)
            return NoticeTable(none, [], none, none, none, none, none)
        entry, leave, expiry, strike, day = (
            np.concatenate([columns[number] for *_, columns in self._blocks]) for number in range(5)
        )
        kind = np.repeat([number for number, *_ in self._blocks], [size for _, _, size, _ in self._blocks])
        leg = np.repeat([leg for _, leg, *_ in self._blocks], [size for _, _, size, _ in self._blocks])
        order = np.lexsort((expiry, day, leg, kind, leave, np.where(entry == NO_DAY, day, entry)))
        return NoticeTable(
            kind[order],
            leg[order].tolist(),
            entry[order],
            leave[order],
            expiry[order],
            strike[order],
            day[order],
        )


@dataclass(frozen=True, slots=True, eq=False)
class NoticeTable:
    """n notices, in order.

    Attributes
    ----------
    kind : int64[n]
        Position in `KINDS`.
    leg : list of str
    entry, leave, expiry, day : int64[n]
        Days since 1970-01-01; `NO_DAY` where it does not apply.
    strike_paise : int64[n]
        `NO_STRIKE` where it does not apply.
    """

    kind: Int64Array
    leg: list[str]
    entry: Int64Array
    leave: Int64Array
    expiry: Int64Array
    strike_paise: Int64Array
    day: Int64Array

    def __len__(self) -> int:
        return len(self.kind)
