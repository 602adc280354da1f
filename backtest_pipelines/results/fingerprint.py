"""The identity of an answer: one pure function of everything that the answer depends on."""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import sha256
from typing import Final

from backtest_pipelines.canonical import canonical_json
from backtest_pipelines.engine.run import ENGINE_REVISION
from backtest_pipelines.strategies.question import Question

RESULT_SCHEMA = 1
"""Raised when the tables, statistics or bytes of an answer change."""
REMEMBERED: Final = 1024
"""So many are known without being made again, in about a megabyte."""


def fingerprint(question: Question, data_digest: str) -> str:
    """Return the SHA-256, in hex, of the question, the code's revisions and the data within the question's dates.

    Parameters
    ----------
    question : Question
    data_digest : str
        `MarketView.digest` of the view cut to the question's dates.
    """
    return _sha256(question.canonical_text, question.variant.revision, ENGINE_REVISION, RESULT_SCHEMA, data_digest)


@lru_cache(maxsize=REMEMBERED)
def _sha256(question: str, strategy_revision: int, engine_revision: int, result_schema: int, data_digest: str) -> str:
    identity = {
        **json.loads(question),
        "strategy_revision": strategy_revision,
        "engine_revision": engine_revision,
        "result_schema": result_schema,
        "data_digest": data_digest,
    }
    return sha256(canonical_json(identity).encode()).hexdigest()
