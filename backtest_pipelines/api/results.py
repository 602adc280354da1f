"""The route of answers: the stored bytes, by their fingerprint."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from backtest_pipelines.api.problems import UnknownError
from backtest_pipelines.api.services import WithServices
from backtest_pipelines.errors import BadRequestError

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/vnd.backtest.answer"
FOR_EVER: Final = "private, max-age=31536000, immutable"
"""A fingerprint never names other bytes."""
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


router = APIRouter(prefix="/results", tags=["results"])


@router.get("/{fingerprint}")
async def result(fingerprint: str, services: WithServices) -> Response:
    """Return the bytes of an answer."""
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise BadRequestError("fingerprint", fingerprint, "allowed: 64 hexadecimal digits, 0 to 9 and a to f")
    value = await services.call(_read, services.answers, fingerprint)
    if value is None:
        msg = f"no answer {fingerprint} is kept: submit its job again"
        raise UnknownError(msg)
    return Response(value, media_type=MEDIA_TYPE, headers={"Cache-Control": FOR_EVER, "ETag": f'"{fingerprint}"'})


def _read(folder: Path, fingerprint: str) -> bytes | None:
    # The codec loads Arrow, 35 MB that a process which is never asked for an answer does without.
    from backtest_pipelines.results.codec import CorruptAnswerError  # noqa: PLC0415
    from backtest_pipelines.results.files import AnswerFiles  # noqa: PLC0415

    files = AnswerFiles(folder)
    try:
        return files.read(fingerprint)
    except CorruptAnswerError as error:
        logger.warning("damaged answer file %s, treated as absent: %s", files.path(fingerprint), error)
        return None
