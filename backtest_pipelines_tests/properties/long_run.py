"""Engine against reference for as many random markets as wanted.

Usage: python -m backtest_pipelines_tests.properties.long_run FIRST_SEED LAST_SEED
"""

import sys
import tempfile
from pathlib import Path

from backtest_pipelines_tests.comparison import asked, engine_rows, ingested, reference_rows
from backtest_pipelines_tests.properties.test_engine_equals_reference import questions_of
from backtest_pipelines_tests.reference.random_market import random_market


def main(first: int, last: int) -> int:
    """Print how many questions were asked and how many answers differed; return the latter."""
    questions = trades = differences = 0
    for seed in range(first, last + 1):
        market = random_market(seed)
        with tempfile.TemporaryDirectory() as folder:
            store = ingested(Path(folder), market)
            for question in questions_of(seed, market):
                expected = reference_rows(market, question)
                questions += 1
                trades += len(expected[0])
                if engine_rows(store, asked(question)) != expected:
                    differences += 1
                    print(f"seed {seed}: {question}")  # noqa: T201
    print(f"{questions} questions, {trades} trades, {differences} differences")  # noqa: T201
    return differences


if __name__ == "__main__":
    sys.exit(min(main(int(sys.argv[1]), int(sys.argv[2])), 1))
