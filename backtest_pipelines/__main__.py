"""``python -m backtest_pipelines`` is the command ``backtest-pipelines``."""

from backtest_pipelines.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
