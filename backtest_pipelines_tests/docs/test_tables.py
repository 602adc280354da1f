"""Tables that are made from the program are those of the program as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backtest_pipelines.strategies import catalogue
from backtest_pipelines_tests.docs import tables
from backtest_pipelines_tests.docs.markdown import pages

MARKED = {name: text for page in pages() for name, text in tables.marked(page)}


def test_every_table_that_can_be_made_is_in_one_page() -> None:
    places = [name for page in pages() for name, _ in tables.marked(page)]
    assert sorted(places) == sorted(tables.TABLES)


@pytest.mark.parametrize("name", list(tables.TABLES))
def test_a_table_is_up_to_date(name: str) -> None:
    assert MARKED[name] == tables.TABLES[name](), "run python -m backtest_pipelines_tests.docs.tables"


def test_a_new_variant_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    t3 = replace(catalogue.VARIANTS[-1], name="call_sell_future_buy_t3", sessions_before_expiry=3)
    monkeypatch.setattr(catalogue, "VARIANTS", (*catalogue.VARIANTS, t3))
    assert MARKED["variants"] != tables.variants()


def test_a_new_limit_of_a_parameter_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    first = catalogue.VARIANTS[0]
    wider = replace(catalogue.CALL_SELL_POSITION, high=catalogue.CALL_SELL_POSITION.high * 2)
    monkeypatch.setattr(catalogue, "VARIANTS", (replace(first, parameters=(*first.parameters[:2], wider)),))
    assert MARKED["parameters"] != tables.parameters()


def test_the_tree_of_errors_is_found_whole() -> None:
    names = [cls.__name__ for cls in tables.error_classes()]
    assert {"BadRequestError", "CorruptAnswerError", "AlreadyRecordedError", "AnswerAbsentError"} <= set(names)
