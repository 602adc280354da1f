from __future__ import annotations

import base64
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest_pipelines.analytics.equity import EquityCurve
from backtest_pipelines.analytics.figures import equity_sparkline_data_uri, equity_svg
from backtest_pipelines.errors import BadRequestError
from backtest_pipelines_tests.analytics.backtests import Backtest, backtest, backtests

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: bytes | str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own text


def series(values: list[float]) -> EquityCurve:
    points = np.array(values, np.float64)
    return EquityCurve(
        session=np.arange(18000, 18000 + points.size, dtype=np.int32),
        equity_points=points,
        booked_points=points,
        is_held=np.arange(points.size) > 0,
    )


def long_curve() -> EquityCurve:
    values = (20_000 + np.cumsum(np.random.default_rng(7).normal(0, 90, 1730))).round(2)
    values[[777, 1234]] = 35_000.0, 5_000.0
    return series(values.tolist())


def sparkline(curve: EquityCurve) -> ET.Element:
    head, _, body = equity_sparkline_data_uri(curve).partition(",")
    assert head == "data:image/svg+xml;base64"
    return parsed(base64.b64decode(body, validate=True))


def drawn(curve: EquityCurve) -> list[tuple[int, int]]:
    path = sparkline(curve).find(f"{SVG}path")
    assert path is not None
    pairs = path.attrib["d"].removeprefix("M").split()
    return [(int(x), int(y)) for x, y in (pair.split(",") for pair in pairs)]


def test_the_picture_names_its_dates_and_its_lowest_first_and_highest_value() -> None:
    svg = parsed(equity_svg(backtest((0, [0, -4000, 1000]), (4, [0, 123456])).curve()))
    text = ["".join(element.itertext()) for element in svg.iter(f"{SVG}text")]
    assert text == [
        "60.00",
        "1,344.56",
        "2024-01-01",
        "2024-01-06",
        "Equity in points: marked daily, booked at exits",
    ]
    labels = [element.text for element in parsed(equity_svg(long_curve())).iter(f"{SVG}text")]
    assert labels[:3] == ["5,000.00", "35,000.00", f"{long_curve().equity_points[0]:,.2f}"]


def test_the_picture_keeps_peak_and_trough_and_drops_what_its_width_cannot_show() -> None:
    svg = parsed(equity_svg(long_curve(), width=500, height=200))
    booked, marked = svg.findall(f"{SVG}polyline")
    assert booked.attrib["points"] == marked.attrib["points"]
    y = [float(pair.split(",")[1]) for pair in marked.attrib["points"].split()]
    assert (min(y), max(y)) == (30.0, 172.0)
    assert 400 <= len(y) <= 414


def test_no_trades_is_a_picture_that_says_so() -> None:
    assert "No trades" in equity_svg(series([]))
    assert {y for _, y in drawn(series([]))} == {20}


def test_a_picture_too_small_for_its_labels_is_refused() -> None:
    with pytest.raises(BadRequestError, match="399 by 120"):
        equity_svg(series([1.0, 2.0]), width=399, height=120)


def test_a_long_sparkline_keeps_first_last_peak_and_trough_within_the_limit() -> None:
    points = drawn(long_curve())
    assert 60 <= len(points) <= 80
    assert (points[0][0], points[-1][0]) == (1, 139)
    assert {1, 39} <= {y for _, y in points}
    assert len(f"![equity]({equity_sparkline_data_uri(long_curve())})") < 1000


def test_a_sparkline_rises_to_the_right_when_equity_does() -> None:
    assert drawn(series([1.0, 2.0, 3.0])) == [(1, 39), (70, 20), (139, 1)]


@settings(deadline=None)
@given(st.lists(st.floats(-1e9, 1e9), max_size=400))
def test_any_sparkline_stays_under_1000_characters_and_inside_its_box(values: list[float]) -> None:
    curve = series(values)
    assert len(f"![equity]({equity_sparkline_data_uri(curve)})") < 1000
    assert all(0 <= x <= 140 and 0 <= y <= 40 for x, y in drawn(curve))


@settings(deadline=None)
@given(backtests())
def test_any_picture_is_well_formed_and_free_of_nan(case: Backtest) -> None:
    text = equity_svg(case.curve())
    parsed(text)
    assert "nan" not in text
    assert "inf" not in text
