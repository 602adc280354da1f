"""What the tests need of Markdown: pages, blocks of code, links, headings, tables and names in backticks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
DOCS = PROJECT / "docs"

_FENCE = re.compile(r"^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
_NAME = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes
    ----------
    page : Path
    line : int
        Of its first line in the page.
    language, text : str
    """

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(PROJECT)}:{self.line}"


def pages() -> list[Path]:
    """Return every page of the docs, the README and the changelog."""
    return [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start()) + 2, match["language"], match["text"])
        for match in _FENCE.finditer(text)
    ]


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    return [match["target"] for match in _LINK.finditer(prose(page))]


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, made as the common hosts make them."""
    headings = (match["text"].lower().replace("`", "") for match in _HEADING.finditer(prose(page)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def names(page: Path) -> set[str]:
    """Return everything in backticks, blocks of code apart."""
    return set(_NAME.findall(prose(page)))


def first_cells(text: str) -> list[str]:
    """Return the names in backticks that begin the rows of tables, in order."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def section(page: Path, heading: str) -> str:
    """Return the text under a heading, up to the next heading of the same or a higher level."""
    text = prose(page)
    start = text.index(f"\n{heading}\n") + 1
    level = heading.split(" ", 1)[0]
    following = re.compile(rf"^#{{1,{len(level)}}} ", re.MULTILINE).search(text, start + len(heading))
    return text[start : following.start() if following else len(text)]
