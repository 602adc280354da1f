"""Where the API listens, by which names it is called, and what that asks of the login."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from backtest_pipelines.errors import BadRequestError

LOOPBACK: Final = "127.0.0.1"
WITHOUT_LOGIN: Final = "--without-login-anyone-can-do-everything"
_EVERY_ADDRESS: Final = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the API listens.

    Attributes
    ----------
    host : str
        Address to bind to.
    names : tuple of str
        Names that callers use beside it and those of loopback.
    is_behind_tls : bool
        Whether callers come through a proxy that speaks TLS with them.
    is_for_anyone : bool
        Whether there may be no login although others can reach it.
    """

    host: str = LOOPBACK
    names: tuple[str, ...] = ()
    is_behind_tls: bool = False
    is_for_anyone: bool = False

    @property
    def is_open(self) -> bool:
        """Whether everything passes as long as no token was ever made."""
        return self.is_for_anyone or not self._can_be_reached

    def check(self, tokens: Collection[object] | None) -> None:
        """Refuse what would be open to others without anybody having said so.

        Parameters
        ----------
        tokens : collection or None
            Those that there are; None where none was ever made.

        Raises
        ------
        BadRequestError
            Naming the option.
        """
        if self.is_for_anyone and tokens is not None:
            raise BadRequestError(WITHOUT_LOGIN, "given", "allowed: where no token was ever made")
        if self._can_be_reached and not self.is_for_anyone and not tokens:
            option, value = ("--behind-tls", "given") if self._is_loopback else ("--host", self.host)
            limit = f"allowed: with a token (backtest-pipelines token add NAME --scope admin), or with {WITHOUT_LOGIN}"
            raise BadRequestError(option, value, limit)

    def url(self, port: int) -> str:
        """Return the address for callers on this machine."""
        host = _EVERY_ADDRESS.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def public_url(self, port: int) -> str:
        """Return the address for browsers: behind TLS that of the first name."""
        return f"https://{self.names[0]}" if self.is_behind_tls and self.names else self.url(port)

    def options(self) -> list[str]:
        """Return the options that say the same."""
        return [
            "--host",
            self.host,
            *(word for name in self.names for word in ("--allow-host", name)),
            *(["--behind-tls"] if self.is_behind_tls else []),
            *([WITHOUT_LOGIN] if self.is_for_anyone else []),
        ]

    @property
    def _is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def _can_be_reached(self) -> bool:
        return self.is_behind_tls or not self._is_loopback


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `listening` reads."""
    parser.add_argument("--host", default=LOOPBACK, help=f"address to listen at; default {LOOPBACK}")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name that callers use for this server; may be given several times",
    )
    parser.add_argument(
        "--behind-tls", action="store_true", help="callers come through a proxy that speaks TLS: cookies are Secure"
    )
    parser.add_argument(
        WITHOUT_LOGIN,
        dest="for_anyone",
        action="store_true",
        help="listen beyond this machine without any token: whoever reaches the port may do everything",
    )


def listening(arguments: argparse.Namespace) -> Listening:
    """Return what the options say."""
    return Listening(arguments.host, tuple(arguments.allow_host), arguments.behind_tls, arguments.for_anyone)
