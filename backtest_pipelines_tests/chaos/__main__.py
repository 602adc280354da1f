"""Hurt an installation and print what it survived: python -m backtest_pipelines_tests.chaos --seed S --rounds N."""

import argparse
import shlex
import signal
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from backtest_pipelines_tests.chaos.rounds import (
    KINDS,
    ON_POSTGRES,
    TESTED_ON_POSTGRES,
    TESTED_ON_SQLITE,
    Outcome,
    hurt,
)

STOP_S, LONG_STOP_S = 10.0, 60.0


def main() -> int:
    """Run the rounds and return 1 where a fault was not survived."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # what was started is stopped
    kinds = _kinds(arguments)
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    console = Console()
    console.print(f"seed {arguments.seed}, {arguments.store}")
    with (
        tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder,
        hurt(
            Path(arguments.folder or folder),
            on_postgres=arguments.store == "postgres",
            long_stop_s=LONG_STOP_S if arguments.long else STOP_S,
            within_s=arguments.within,
        ) as survive,
    ):
        for number in range(arguments.first, arguments.first + arguments.rounds):
            for kind in kinds:
                start = time.monotonic()
                outcome = survive([kind], f"{arguments.seed} {number}")
                outcomes[kind].append(outcome)
                took_s = time.monotonic() - start
                said = "survived" if outcome.problem is None else "NOT SURVIVED"
                console.print(
                    f"round {number} {kind}: {said}, recovery {outcome.recovery_s:.1f} s, {took_s:.0f} s in all"
                )
                if outcome.problem is not None:
                    console.print(outcome.problem, markup=False)
                    console.print(f"again: {_again(arguments, kind, number)}", markup=False)
    console.print(_table(outcomes, f"seed {arguments.seed}, {arguments.store}"))
    return int(any(outcome.problem for found in outcomes.values() for outcome in found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m backtest_pipelines_tests.chaos", description=__doc__)
    parser.add_argument("--seed", default=str(time.time_ns()), help="what all times and questions are drawn from")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="how often each kind is inflicted")
    parser.add_argument("--first", type=int, default=1, metavar="N", help="number of the first round")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this one; may be given several times")
    parser.add_argument("--untested", action="store_true", help="only the kinds that the test suite does not inflict")
    parser.add_argument("--store", choices=["postgres", "sqlite"], default="postgres")
    parser.add_argument("--long", action="store_true", help=f"workers stand still for {LONG_STOP_S:.0f} s")
    parser.add_argument("--within", type=float, default=30.0, metavar="S", help="seconds for all work to end in")
    parser.add_argument("--folder", type=Path, help="an empty folder, which is kept")
    return parser.parse_args()


def _kinds(arguments: argparse.Namespace) -> list[str]:
    """Return the kinds to inflict, in their order."""
    wanted = arguments.kind or KINDS
    tested = {kind for group in (*TESTED_ON_POSTGRES, *TESTED_ON_SQLITE) for kind in group}
    return [
        kind
        for kind in KINDS
        if kind in wanted
        and (arguments.store == "postgres" or KINDS[kind] not in ON_POSTGRES)
        and not (arguments.untested and kind in tested)
    ]


def _again(arguments: argparse.Namespace, kind: str, number: int) -> str:
    command = ["python", "-m", "backtest_pipelines_tests.chaos", "--seed", arguments.seed, "--first", str(number)]
    return shlex.join([*command, "--kind", kind, "--store", arguments.store, *(["--long"] if arguments.long else [])])


def _table(outcomes: dict[str, list[Outcome]], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("fault")
    table.add_column("survived", justify="right")
    table.add_column("slowest recovery", justify="right")
    for kind, found in outcomes.items():
        survived = [outcome for outcome in found if outcome.problem is None]
        slowest = f"{max(outcome.recovery_s for outcome in survived):.1f} s" if survived else ""
        table.add_row(kind.replace("_", " "), f"{len(survived)} of {len(found)}", slowest)
    return table


if __name__ == "__main__":
    sys.exit(main())
