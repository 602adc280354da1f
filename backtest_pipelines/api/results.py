"""The route of answers: the stored bytes, by their fingerprint."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from backtest_pipelines.api.answers import FOR_EVER, answer_bytes
from backtest_pipelines.api.services import WithServices
from backtest_pipelines.errors import BadRequestError

MEDIA_TYPE: Final = "application/vnd.backtest.answer"
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


router = APIRouter(prefix="/results", tags=["results"])


@router.get("/{fingerprint}", response_class=Response, responses={200: {"content": {MEDIA_TYPE: {}}}})
async def result(fingerprint: str, services: WithServices) -> Response:
    """Return the bytes of an answer."""
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise BadRequestError("fingerprint", fingerprint, "allowed: 64 hexadecimal digits, 0 to 9 and a to f")
    value = await services.call(answer_bytes, services.answers, fingerprint)
    return Response(value, media_type=MEDIA_TYPE, headers={"Cache-Control": FOR_EVER, "ETag": f'"{fingerprint}"'})
