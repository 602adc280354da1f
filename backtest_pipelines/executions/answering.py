"""The steps of an execution: name the question, and look its answer up or compute it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from backtest_pipelines.executions.compute import compute
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.panel.view import MarketView
from backtest_pipelines.results.codec import CorruptAnswerError, encode
from backtest_pipelines.results.fingerprint import fingerprint
from backtest_pipelines.results.store import Place, Tier
from backtest_pipelines.strategies.question import Question


@dataclass(frozen=True, slots=True)
class Named:
    """A checked question on the data that is there, and with it the identity of its answer.

    Attributes
    ----------
    question : Question
    view : MarketView
        The symbol's market, cut to the question's dates.
    fingerprint : str
    """

    question: Question
    view: MarketView
    fingerprint: str

    @property
    def place(self) -> Place:
        """Where the answer is kept: fingerprint, variant and symbol."""
        return self.fingerprint, self.question.variant.name, self.question.symbol


def name(question: Question, workspace: Workspace) -> Named:
    """Return a question with the data that it is about.

    Raises
    ------
    MissingDataError, BadDataError
        If the data was not ingested, or is damaged.
    """
    view = workspace.panels.symbol(question.symbol).view(question.from_date, question.to_date)
    return Named(question, view, fingerprint(question, view.digest))


@dataclass(frozen=True, slots=True)
class Given:
    """An answer, and where it came from.

    Attributes
    ----------
    bytes : bytes
    tier : {"redis", "file"} or None
        None where it was computed.
    kept_s : float
        Since when it is kept, in seconds since 1970.
    """

    bytes: bytes
    tier: Tier | None
    kept_s: float


def answer(named: Named, workspace: Workspace, *, use_cache: bool) -> Given:
    """Return the bytes of an answer: found, or else computed and kept.

    Raises
    ------
    UnavailableError
        If a file cannot be read or written.
    """
    if use_cache:
        found = workspace.answers.look_up(*named.place)
        if found is not None:
            return Given(found.bytes, found.tier, found.kept_s)

    def work() -> tuple[bytes, float]:
        if use_cache:
            # An equal question may have ended after this one was looked up and before it got here.
            with suppress(CorruptAnswerError):
                kept = workspace.answers.look_up_file(*named.place)
                if kept is not None:
                    return kept.bytes, kept.kept_s
        value = encode(compute(named.view, named.question, named.fingerprint))
        return value, workspace.answers.keep(*named.place, value)

    # Who wants it computed afresh shares nothing with a flight that may find it kept.
    value, kept_s = workspace.computing.run(f"{named.fingerprint}:{use_cache}", work)
    return Given(value, None, kept_s)
