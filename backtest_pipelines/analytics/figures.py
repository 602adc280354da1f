"""Pictures of the equity as SVG: one for pages and reports, one small enough to stand inside Markdown."""

from __future__ import annotations

import base64

import numpy as np
import numpy.typing as npt

from backtest_pipelines.analytics.equity import EquityCurve, iso_date
from backtest_pipelines.errors import BadRequestError

SPARKLINE_WIDTH, SPARKLINE_HEIGHT, SPARKLINE_BUCKETS = 140, 40, 36
LEFT, RIGHT, TOP, BOTTOM = 74, 14, 30, 28
EQUITY_COLOUR, BOOKED_COLOUR, GRID_COLOUR, TEXT_COLOUR = "#1769aa", "#e08a1e", "#d5d9de", "#3a4149"


def equity_svg(curve: EquityCurve, *, width: int = 720, height: int = 280) -> str:
    """Draw the equity, marked to market daily and booked at exits.

    The vertical axis is labelled with the lowest, highest and first value, the horizontal with the first
    and last date. No more points are drawn than the width can show; peaks and troughs are kept.

    Parameters
    ----------
    curve : EquityCurve
        Without sessions the picture says that there are no trades.
    width, height : int
        Size in pixels, at least 400 by 120.

    Returns
    -------
    str
        A complete SVG element on a white ground.

    Raises
    ------
    BadRequestError
        The size is too small for the labels.
    """
    if width < 400 or height < 120:
        raise BadRequestError("size", f"{width} by {height}", "an equity picture needs at least 400 by 120 pixels")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="{TEXT_COLOUR}">'
        f'<title>Equity</title><rect width="{width}" height="{height}" fill="#fff"/>'
    )
    if curve.session.size == 0:
        return f"{head}{_text(width / 2, height / 2, 'No trades', 'middle')}</svg>"
    right, bottom = width - RIGHT, height - BOTTOM
    low = float(min(curve.equity_points.min(), curve.booked_points.min()))
    high = float(max(curve.equity_points.max(), curve.booked_points.max()))
    start = float(curve.equity_points[0])
    level = {value: float(_scaled(np.array(value), low, high, bottom, TOP)) for value in (low, start, high)}
    labelled = [low, high]
    if min(abs(level[start] - level[low]), abs(level[start] - level[high])) >= 14:
        labelled.append(start)
    parts = [head]
    for value in labelled:
        y = level[value]
        parts.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{GRID_COLOUR}"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{value:,.2f}", "end"))
    for points, colour in ((curve.booked_points, BOOKED_COLOUR), (curve.equity_points, EQUITY_COLOUR)):
        shown = _extremes(points, (right - LEFT) // 2)
        x = _scaled(shown, 0, points.size - 1, LEFT, right)
        y_shown = _scaled(points[shown], low, high, bottom, TOP)
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y_shown.tolist(), strict=True))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
    legend = (
        f'Equity in points: <tspan fill="{EQUITY_COLOUR}">marked daily</tspan>, '
        f'<tspan fill="{BOOKED_COLOUR}">booked at exits</tspan>'
    )
    parts += [
        _text(LEFT, height - 9, iso_date(curve.session[0]), "start"),
        _text(right, height - 9, iso_date(curve.session[-1]), "end"),
        _text(LEFT, 18, legend, "start"),
        "</svg>",
    ]
    return "".join(parts)


def equity_sparkline_data_uri(curve: EquityCurve) -> str:
    """Draw the daily marked equity as a line alone, in an SVG data URI.

    ``![equity](...)`` around it has under 1,000 characters: Dagster's UI hides longer Markdown.

    Parameters
    ----------
    curve : EquityCurve
        Without sessions the line is flat.

    Returns
    -------
    str
        See `svg_data_uri`.
    """
    points = curve.equity_points if curve.equity_points.size else np.zeros(1)
    shown = _extremes(points, SPARKLINE_BUCKETS)
    x = _scaled(shown, 0, points.size - 1, 1, SPARKLINE_WIDTH - 1).round().astype(int)
    y = _scaled(points[shown], float(points.min()), float(points.max()), SPARKLINE_HEIGHT - 1, 1).round().astype(int)
    line = " ".join(f"{a},{b}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{SPARKLINE_WIDTH}' height='{SPARKLINE_HEIGHT}'>"
        f"<path d='M{line}' fill='none' stroke='{EQUITY_COLOUR}'/></svg>"
    )
    return svg_data_uri(svg)


def svg_data_uri(svg: str) -> str:
    """Return a picture as an address that Markdown can show: in base64, as brackets and spaces have a meaning there."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _extremes(points: npt.NDArray[np.float64], buckets: int) -> npt.NDArray[np.int64]:
    """Choose indices, ascending: first, last, the lowest and highest of each bucket; all where they fit."""
    if points.size <= 2 * buckets:
        return np.arange(points.size)
    edge = np.linspace(0, points.size, buckets + 1).astype(np.int64)
    chosen = {0, points.size - 1}
    for start, end in zip(edge[:-1].tolist(), edge[1:].tolist(), strict=True):
        chosen.add(start + int(points[start:end].argmin()))
        chosen.add(start + int(points[start:end].argmax()))
    return np.array(sorted(chosen))


def _scaled(
    values: npt.NDArray[np.float64] | npt.NDArray[np.int64],
    low: float,
    high: float,
    at_low: float,
    at_high: float,
) -> npt.NDArray[np.float64]:
    """Map [low, high] to [at_low, at_high]; an empty range to the middle."""
    if high <= low:
        return np.full(values.shape, (at_low + at_high) / 2)
    return np.asarray(at_low + (values - low) * ((at_high - at_low) / (high - low)))


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
