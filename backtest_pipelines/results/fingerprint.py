"""The identity of an answer: one pure function of everything that the answer depends on."""

from __future__ import annotations

from hashlib import sha256

from backtest_pipelines.canonical import canonical_json
from backtest_pipelines.engine.run import ENGINE_REVISION
from backtest_pipelines.strategies.question import Question

RESULT_SCHEMA = 1
"""Raised when the tables, statistics or bytes of an answer change."""


def fingerprint(question: Question, data_digest: str) -> str:
    """Return the SHA-256, in hex, of the question, the code's revisions and the data within the question's dates.

    Parameters
    ----------
    question : Question
    data_digest : str
        `MarketView.digest` of the view cut to the question's dates.
    """
    identity = {
        **question.canonical(),
        "strategy_revision": question.variant.revision,
        "engine_revision": ENGINE_REVISION,
        "result_schema": RESULT_SCHEMA,
        "data_digest": data_digest,
    }
    return sha256(canonical_json(identity).encode()).hexdigest()
