"""Bars: as high as their counts, each with at least one pixel, and short enough for Dagster's UI."""

import base64
import re
import xml.etree.ElementTree as ET

from backtest_pipelines.analytics.bars import HEIGHT, stacked_bars_data_uri

SVG = "{http://www.w3.org/2000/svg}"


def parsed(uri: str) -> ET.Element:
    return ET.fromstring(base64.b64decode(uri.partition(",")[2], validate=True))  # noqa: S314 - our own text


def bars(picture: ET.Element, colour: str) -> list[tuple[int, int, int]]:
    """Return the bars of a colour: where, from which height on, how high."""
    (path,) = [path for path in picture.iter(f"{SVG}path") if path.attrib["stroke"] == colour]
    found = re.findall(r"M(\d+) (\d+)v-(\d+)", path.attrib["d"])
    return [(int(x), HEIGHT - int(y), int(height)) for x, y, height in found]


def test_bars_stand_on_each_other_and_the_smallest_is_seen() -> None:
    picture = parsed(stacked_bars_data_uri({"#1": [0, 500, 1], "#2": [3, 500, 0]}, {0: "1 ms", 3: "10 ms"}))
    (first, low), (second, tiny) = bars(picture, "#1"), bars(picture, "#2")[::-1]
    assert first[1:] == (0, 23)
    assert low[1:] == (0, 1)
    assert second == (first[0], 23, 23)
    assert tiny[1:] == (0, 1)
    assert [text.text for text in picture.iter(f"{SVG}text")] == ["1 ms", "10 ms"]


def test_no_counts_are_a_picture_without_bars() -> None:
    assert bars(parsed(stacked_bars_data_uri({"#1": [0, 0]}, {})), "#1") == []


def test_a_usual_picture_is_shown_by_the_ui_at_once() -> None:
    heights = [1000 + number for number in range(16)]
    labels = dict.fromkeys((0, 4, 8, 12, 16), "1000 ms")
    uri = stacked_bars_data_uri({"#1769aa": heights[:8] + [0] * 8, "#e08a1e": [0] * 6 + heights[:10]}, labels)
    assert len(f"![blue: found, orange: computed]({uri})") < 1000
