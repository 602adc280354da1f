"""Pages of the API itself: plain HTML without scripts, and nothing from anywhere else."""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import Final

from starlette.responses import HTMLResponse, Response

_COLOURS: Final = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6475; --ground: #f4f5f8; --card: #fff; --line: #cfd5df;
  --act: #3b4fd8; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa3b2; --ground: #12151b; --card: #1b2029;
  --line: #3a4251; --act: #5468f0; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
"""


def page(title: str, style: str, content: str, status: int = 200) -> Response:
    """Return a page.

    Parameters
    ----------
    title : str
    style : str
        CSS of this page, beside that of all.
    content : str
        HTML of its main part.
    status : int
    """
    style = _COLOURS + style
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - Backtest Pipelines</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>Backtest Pipelines</h1>
{content}
</main>
</body>
</html>
"""
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'"
    return HTMLResponse(html, status, {"Cache-Control": "no-store", "Content-Security-Policy": policy})
