"""The pages of the login: plain HTML without scripts, and nothing from anywhere else."""

from __future__ import annotations

import base64
from hashlib import sha256
from html import escape
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, Response

from backtest_pipelines.api.login.tokens import Token

LOGIN: Final = "/login"
LOGOUT: Final = "/logout"
HOME: Final = "/"
_LONGEST_NEXT: Final = 2000

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6475; --ground: #f4f5f8; --card: #fff; --line: #cfd5df;
  --act: #3b4fd8; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa3b2; --ground: #12151b; --card: #1b2029;
  --line: #3a4251; --act: #5468f0; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { width: min(26rem, calc(100vw - 2rem)); padding: 2rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; }
h1 { margin: 0 0 1.25rem; font-size: 1.25rem; }
label { display: block; margin-bottom: .35rem; font-weight: 600; }
input, button { width: 100%; padding: .6rem .75rem; font: inherit; border-radius: 8px; }
input { color: inherit; background: transparent; border: 1px solid var(--line); }
button { margin-top: 1rem; color: #fff; background: var(--act); border: 0; font-weight: 600; cursor: pointer; }
p { margin: 1rem 0 0; color: var(--soft); font-size: .875rem; }
p.bad { margin: 0 0 1rem; color: var(--bad); }
code { overflow-wrap: anywhere; }
"""
_STYLE_HASH: Final = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'"
    ),
}


def sign_in(next_page: str, complaint: str = "", status: int = 200) -> Response:
    """Return the page with the form.

    Parameters
    ----------
    next_page : str
        Where to go then, a path of this server.
    complaint : str
        Why it did not work before.
    status : int
    """
    told = f'<p class="bad" role="alert">{escape(complaint)}</p>' if complaint else ""
    return _page(
        "Sign in",
        f"""{told}<form method="post" action="{LOGIN}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<input name="next" type="hidden" value="{escape(next_page)}">
<button>Sign in</button>
</form>
<p>Whoever runs this service makes tokens: <code>backtest-pipelines token add NAME --scope read</code></p>""",
        status,
    )


def signed_in(token: Token) -> Response:
    """Return the page that says who is signed in, and lets them out."""
    return _page(
        "Signed in",
        f"""<div>Token <b>{escape(token.name)}</b>, scope <b>{token.scope.word}</b></div>
<form method="post" action="{LOGOUT}"><button>Sign out</button></form>
<p><a href="{HOME}">Go on</a></p>""",
        200,
    )


def local_path(text: str) -> str:
    """Return a path of this server as it was given; the first page where it could lead anywhere else."""
    is_plain = text.isascii() and text.isprintable() and "\\" not in text and " " not in text
    if not is_plain or len(text) > _LONGEST_NEXT or not text.startswith("/") or text.startswith("//"):
        return HOME
    try:
        parts = urlsplit(text)
    except ValueError:
        return HOME
    is_of_the_login = parts.path in (LOGOUT, LOGIN) or parts.path.startswith(f"{LOGIN}/")
    return HOME if parts.scheme or parts.netloc or is_of_the_login else text


def _page(title: str, content: str, status: int) -> Response:
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - Backtest Pipelines</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Backtest Pipelines</h1>
{content}
</main>
</body>
</html>
"""
    return HTMLResponse(html, status, _HEADERS)
