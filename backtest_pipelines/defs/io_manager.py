"""The IO manager of answers: they are kept by what they answer, so that no parameter set overwrites another.

Order of calls: the asset's body calls `execute`, which alone writes; `handle_output` then proves that it is kept;
Dagster records the materialization with the fingerprint; a downstream step's `load_input` finds that record and
reads the answer from its file, invalidated since or not.
"""

import dagster as dg

from backtest_pipelines.defs.failures import dagster_failures
from backtest_pipelines.defs.workspace import WorkspaceResource
from backtest_pipelines.errors import BugError, MissingDataError
from backtest_pipelines.executions.execute import Executed
from backtest_pipelines.executions.summary import FINGERPRINT
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.results.answer import Answer
from backtest_pipelines.results.codec import decode


class AnswerAbsentError(MissingDataError):
    """The answer that a downstream asset needs was never computed, or is not kept any more."""


class AnswerIOManager(dg.IOManager):
    """Keeps nothing itself: proves on output, reads by fingerprint on input.

    Parameters
    ----------
    workspace : Workspace
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Prove that the answer is kept under its fingerprint."""
        with dagster_failures():
            if not isinstance(obj, Executed):
                msg = f"{context.asset_key.to_user_string()} returned {type(obj).__name__}, not Executed"
                raise BugError(msg)
            if self._workspace.answers.read(obj.fingerprint) is None:
                msg = f"the answer {obj.fingerprint} was computed but is not kept"
                raise BugError(msg)

    def load_input(self, context: dg.InputContext) -> Answer | dict[str, Answer]:
        """Return the answer of the upstream partition, or a dict by partition where there are several.

        The record of the current run comes first, then the partition's latest: a run that computes and uses
        an answer never gets somebody else's.
        """
        with dagster_failures():
            keys = list(context.asset_partition_keys)
            found = {key: self._load(context, key) for key in keys}
        return found[keys[0]] if len(keys) == 1 else found

    def _load(self, context: dg.InputContext, partition: str) -> Answer:
        asset = context.asset_key
        variant = asset.path[-1]
        fingerprint = _of_this_run(context, partition) or _latest(context, partition)
        if fingerprint is None:
            msg = f"{variant} of {partition} was never materialized: materialize it first"
            raise AnswerAbsentError(msg)
        encoded = self._workspace.answers.read(fingerprint)
        if encoded is None:
            msg = f"the answer {fingerprint} of {variant}, {partition}, is gone: materialize it again"
            raise AnswerAbsentError(msg)
        return decode(encoded)


@dg.io_manager(required_resource_keys={"workspace"})
def answer_io_manager(context: dg.InitResourceContext) -> AnswerIOManager:
    """Answers by fingerprint."""
    workspace: WorkspaceResource = context.resources.workspace
    return AnswerIOManager(workspace.opened)


def _of_this_run(context: dg.InputContext, partition: str) -> str | None:
    step_context = context.step_context
    entries = step_context.instance.all_logs(step_context.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    return next(
        (
            _fingerprint(entry.asset_materialization)
            for entry in reversed(entries)
            if entry.asset_materialization is not None
            and entry.asset_materialization.asset_key == context.asset_key
            and entry.asset_materialization.partition == partition
        ),
        None,
    )


def _latest(context: dg.InputContext, partition: str) -> str | None:
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(context.asset_key, asset_partitions=[partition]), limit=1
    ).records
    return _fingerprint(records[0].asset_materialization) if records else None


def _fingerprint(materialization: dg.AssetMaterialization | None) -> str | None:
    value = materialization.metadata.get(FINGERPRINT) if materialization else None
    return str(value.value) if value else None
