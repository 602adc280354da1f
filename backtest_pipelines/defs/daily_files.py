"""The exchange's daily files, one partition a session: what the inbox holds of it goes into the panels."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import dagster as dg

from backtest_pipelines.defs.failures import RETRY_WHEN_UNAVAILABLE, dagster_failures
from backtest_pipelines.defs.workspace import WorkspaceResource
from backtest_pipelines.errors import BadDataError, MissingDataError
from backtest_pipelines.panel.formats import peek_session
from backtest_pipelines.panel.formats.dates import dates_in_name
from backtest_pipelines.panel.ingest import FileOutcome, exchange_files, ingest

SESSIONS = "sessions"
session_partitions = dg.DynamicPartitionsDefinition(name=SESSIONS)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)  # backfill_policy

    @dg.asset(
        partitions_def=session_partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="market_data",
        kinds={"csv"},
        retry_policy=RETRY_WHEN_UNAVAILABLE,
    )
    def daily_files(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult[None]:
        """Bhavcopies and index closes of a session or a range of them, read from the inbox into the panels."""
        with dagster_failures():
            found = files_of(workspace.opened.settings.inbox, list(context.partition_keys))
            paths = [path for of_session in found.values() for path in of_session]
            report = ingest(paths, workspace.opened.panels)
            outcomes = dict(zip(paths, report.files, strict=True))
            by_session = {session: [outcomes[path] for path in of_session] for session, of_session in found.items()}
            if report.bad:
                _record_good(context, by_session)
                lines = "\n".join(f"{file.name}: {file.reason}" for file in report.bad)
                msg = f"{len(report.bad)} of {len(paths)} files; the others were ingested. The bad ones:\n{lines}"
                raise BadDataError("inbox", msg)
        for session, files in by_session.items():
            context.add_asset_metadata(_metadata(files), partition_key=session)
        return dg.MaterializeResult(metadata={"run_files": len(paths), "run_duration_s": report.duration_s})


def _record_good(context: dg.AssetExecutionContext, by_session: Mapping[str, Sequence[FileOutcome]]) -> None:
    """Put on record the sessions none of whose files was bad, although the run fails."""
    for session, files in by_session.items():
        if not any(file.status == "bad" for file in files):
            context.log_event(dg.AssetMaterialization(context.asset_key, partition=session, metadata=_metadata(files)))


def _metadata(files: Iterable[FileOutcome]) -> dict[str, str]:
    return {file.name: f"{file.kind}: {file.status}" for file in files}


def files_of(inbox: Path, wanted: Sequence[str]) -> dict[str, list[Path]]:
    """Return the inbox's files of the sessions, by session.

    Raises
    ------
    MissingDataError
        If a session has none.
    """
    found: dict[str, list[Path]] = {session: [] for session in wanted}
    for path in exchange_files(inbox):
        named = dates_in_name(path.name)
        if named and not any(day.isoformat() in found for day in named):
            continue  # a name's date is that of the rows, or the file is refused: no need to open it
        try:
            session = peek_session(path)[1].isoformat()
        except BadDataError:
            continue  # of no session that can be told: the sensor has logged it
        if session in found:
            found[session].append(path)
    if absent := [session for session, paths in found.items() if not paths]:
        msg = f"no file in the inbox {inbox} is of {', '.join(absent)}: put the exchange's files there"
        raise MissingDataError(msg)
    return found
