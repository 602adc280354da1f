"""The pages of the login."""

from __future__ import annotations

from html import escape
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import Response

from backtest_pipelines.api.html import page
from backtest_pipelines.api.login.tokens import Token

LOGIN: Final = "/login"
LOGOUT: Final = "/logout"
HOME: Final = "/"
_LONGEST_NEXT: Final = 2000

_STYLE: Final = """
body { min-height: 100vh; display: grid; place-items: center; }
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
    return page(
        "Sign in",
        _STYLE,
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
    return page(
        "Signed in",
        _STYLE,
        f"""<div>Token <b>{escape(token.name)}</b>, scope <b>{token.scope.word}</b></div>
<form method="post" action="{LOGOUT}"><button>Sign out</button></form>
<p><a href="{HOME}">Go on</a></p>""",
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
