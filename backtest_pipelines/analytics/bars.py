"""A small bar chart that stands inside Markdown, as `figures` has a small line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from backtest_pipelines.analytics.figures import TEXT_COLOUR, svg_data_uri

HEIGHT: Final = 48
BAR_WIDTH, PITCH = 7, 9
MARGIN: Final = 24
LABEL_HEIGHT: Final = 14


def stacked_bars_data_uri(bars: Mapping[str, Sequence[int]], labels: Mapping[int, str]) -> str:
    """Draw counts as bars, those of one colour on those of the one before, in an SVG data URI.

    Whatever is counted can be seen: a bar has at least one pixel. A picture of few bars has, inside Markdown, less than
    the 1,000 characters beyond which Dagster's UI hides it.

    Parameters
    ----------
    bars : Mapping of str to sequence of int
        Colour to heights, as many in each, 0 or more.
    labels : Mapping of int to str
        Number of a bar to what stands below its left edge; the number behind the last bar is its right edge.
    """
    heights = list(bars.values())
    width = 2 * MARGIN + PITCH * max(map(len, heights))
    highest = max((sum(stack) for stack in zip(*heights, strict=True)), default=0)
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{HEIGHT + LABEL_HEIGHT}' "
        f"font-family='sans-serif' font-size='9' text-anchor='middle' fill='{TEXT_COLOUR}'>"
    )
    parts = [head]
    base = [HEIGHT] * len(heights[0])
    for colour, counts in bars.items():
        lines = []
        for number, count in enumerate(counts):
            if count:
                pixels = max(1, round(count / highest * (HEIGHT - 2)))
                lines.append(f"M{MARGIN + PITCH * number + PITCH // 2} {base[number]}v-{pixels}")
                base[number] -= pixels
        parts.append(f"<path d='{''.join(lines)}' stroke='{colour}' stroke-width='{BAR_WIDTH}'/>")
    parts.append(f"<path d='M{MARGIN} {HEIGHT}H{width - MARGIN}' stroke='{TEXT_COLOUR}'/>")
    parts += [f"<text x='{MARGIN + PITCH * number}' y='{HEIGHT + 11}'>{text}</text>" for number, text in labels.items()]
    return svg_data_uri("".join([*parts, "</svg>"]))
