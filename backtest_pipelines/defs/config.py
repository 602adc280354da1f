"""The config classes of the variants, derived from their parameters, and the way from a config to a request.

Dagster checks types only; ranges are checked by the question, when the step starts. There is no postponed
evaluation of annotations in this module: Dagster reads the classes.
"""

from typing import Any, Literal

import dagster as dg
from pydantic import Field, create_model

from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.strategies.parameters import Choice, Parameter
from backtest_pipelines.strategies.variants import Variant


class PhaseConfig(dg.Config):
    """A trading phase: its sessions from start to end, both included, are traded."""

    start: str = Field(description="ISO date such as 2021-11-30, included")
    end: str = Field(description="ISO date such as 2021-12-31, included; not before the start")


class QuestionConfig(dg.Config):
    """What can be asked of every variant."""

    from_date: str | None = Field(
        default=None,
        description="ISO date such as 2019-02-22; sessions before it are as if absent. Default: the first",
    )
    to_date: str | None = Field(
        default=None,
        description="ISO date such as 2021-11-30; sessions after it are as if absent. Default: the last",
    )
    phases: list[PhaseConfig] = Field(
        default=[],
        description="Phases that do not overlap; other sessions are left out. Default: no phases, all sessions",
    )
    exit_at_expiry: Literal["close", "intrinsic"] = Field(
        default="close",
        description=(
            "Price of a call left on its expiry day. close: the bhavcopy's close; "
            "intrinsic: index close less strike, at least 0. Default: close"
        ),
    )
    costs: bool = Field(default=False, description="Compute charges, in INR per lot. Default: false")
    brokerage_inr_per_order: float | None = Field(
        default=None, description="0 to 10000 INR, whole paise; only with costs. Default: 20"
    )
    use_cache: bool = Field(
        default=True,
        description="false: compute afresh although the answer is known, and keep it. Default: true",
    )


def config_class(variant: Variant) -> type[QuestionConfig]:
    """Return the config class of a variant: its parameters, and the fields that all variants share."""
    name = "".join(part.capitalize() for part in variant.name.split("_"))
    fields: dict[str, Any] = {parameter.name: _field(parameter) for parameter in variant.parameters}
    model: type[QuestionConfig] = create_model(f"{name}Config", __base__=QuestionConfig, **fields)
    return model


def request(
    variant: Variant, symbol: str, config: QuestionConfig, *, run_id: str, job_id: str | None, attempt: int
) -> ExecutionRequest:
    """Return the request that a config asks for. Nothing is checked yet."""
    return ExecutionRequest(
        variant=variant.name,
        symbol=symbol,
        parameters={parameter.name: getattr(config, parameter.name) for parameter in variant.parameters},
        from_date=config.from_date,
        to_date=config.to_date,
        phases=tuple((phase.start, phase.end) for phase in config.phases),
        exit_at_expiry=config.exit_at_expiry,
        costs=config.costs,
        brokerage_inr_per_order=config.brokerage_inr_per_order,
        use_cache=config.use_cache,
        door="dagster",
        run_id=run_id,
        job_id=job_id,
        attempt=attempt,
    )


def _field(parameter: Parameter) -> tuple[type, Any]:
    # A choice is an int here: Dagster's own choices are of text alone, and would want quotes around a number.
    kind: type = int if isinstance(parameter, Choice) else float
    description = f"{parameter.description}; {parameter.limit}. Default: {parameter.default}"
    return kind, Field(default=kind(parameter.default), description=description)
