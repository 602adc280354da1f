"""The sensor's decision, without a disk: what is seen, known and remembered goes in, what to do comes out."""

from dataclasses import replace
from datetime import date
from pathlib import Path

from backtest_pipelines.defs.inbox import QUIET_S, SeenFile, decide, look
from backtest_pipelines.errors import BadDataError

NOW = 1_000_000.0


def file(session: str, kind: str = "fo", *, signature: str = "1", changed_at: float = NOW - 60) -> SeenFile:
    return SeenFile(f"{kind}-{session}", signature, changed_at)


def session_of(name: str) -> date:
    if name.startswith("bad"):
        raise BadDataError(name, "is empty")
    return date.fromisoformat(name.partition("-")[2])


def never(name: str) -> date:
    raise AssertionError(f"{name} was opened")


def test_the_first_fill_is_one_run_over_all_sessions_in_order() -> None:
    files = [file("2024-05-03"), file("2024-05-02"), file("2024-05-02", "ind"), file("2024-05-06")]
    decision = decide(files, None, [], NOW, session_of)
    assert decision.new_sessions == ("2024-05-02", "2024-05-03", "2024-05-06")
    assert [(stretch.first, stretch.last) for stretch in decision.stretches] == [("2024-05-02", "2024-05-06")]


def test_what_was_dealt_with_is_neither_opened_nor_run_again() -> None:
    files = [file("2024-05-02"), file("2024-05-03")]
    cursor = decide(files, None, [], NOW, session_of).cursor
    again = decide(files, cursor, ["2024-05-02", "2024-05-03"], NOW + 10, never)
    assert (again.new_sessions, again.stretches, again.cursor) == ((), (), cursor)


def test_a_corrected_file_runs_its_session_again_under_another_key() -> None:
    files = [file("2024-05-02"), file("2024-05-03")]
    first = decide(files[1:], None, ["2024-05-02"], NOW, session_of)
    before = decide(files, None, [], NOW, session_of)
    corrected = [files[0], replace(files[1], signature="2")]
    decision = decide(corrected, before.cursor, ["2024-05-02", "2024-05-03"], NOW, session_of)
    assert decision.new_sessions == ()
    assert [(stretch.first, stretch.last) for stretch in decision.stretches] == [("2024-05-03", "2024-05-03")]
    assert decision.stretches[0].key != first.stretches[0].key


def test_a_file_that_is_not_quiet_waits_and_is_taken_later() -> None:
    fresh = file("2024-05-02", changed_at=NOW - QUIET_S + 0.1)
    waiting = decide([fresh, file("2024-05-03")], None, [], NOW, session_of)
    assert waiting.waiting == (fresh.name,)
    assert waiting.new_sessions == ("2024-05-03",)
    taken = decide([fresh, file("2024-05-03")], waiting.cursor, ["2024-05-03"], NOW + 1, session_of)
    assert taken.new_sessions == ("2024-05-02",)


def test_sessions_apart_in_the_order_of_partitions_are_runs_of_their_own() -> None:
    known = ["2024-05-02", "2024-05-03", "2024-05-06", "2024-05-07"]
    files = [file("2024-05-02"), file("2024-05-06"), file("2024-05-07"), file("2024-05-01")]
    decision = decide(files, None, known, NOW, session_of)
    assert decision.new_sessions == ("2024-05-01",)
    assert [(stretch.first, stretch.last) for stretch in decision.stretches] == [
        ("2024-05-02", "2024-05-02"),
        ("2024-05-06", "2024-05-01"),  # a late session is the last partition, whatever its date
    ]


def test_a_bad_file_is_reported_once_and_again_when_it_changed() -> None:
    bad = SeenFile("bad.zip", "1", NOW - 60)
    first = decide([bad, file("2024-05-02")], None, [], NOW, session_of)
    assert first.bad == {"bad.zip": "bad.zip: is empty"}
    assert first.new_sessions == ("2024-05-02",)
    assert decide([bad], first.cursor, ["2024-05-02"], NOW, never).bad == {}
    changed = replace(bad, signature="2")
    assert decide([changed], first.cursor, ["2024-05-02"], NOW, session_of).bad == first.bad


def test_files_that_are_gone_leave_the_cursor() -> None:
    cursor = decide([file("2024-05-02"), file("2024-05-03")], None, [], NOW, session_of).cursor
    assert "2024-05-03" not in decide([file("2024-05-02")], cursor, [], NOW, never).cursor


def test_the_same_decision_gives_the_same_keys() -> None:
    files = [file("2024-05-02"), file("2024-05-03")]
    assert decide(files, None, [], NOW, session_of) == decide(files[::-1], None, [], NOW + 5, session_of)


def test_looking_sees_changes_of_size_time_and_file(tmp_path: Path) -> None:
    path = tmp_path / "below" / "a.csv"
    path.parent.mkdir()
    path.write_text("one")
    (first,) = look(tmp_path, [path, tmp_path / "vanished.csv"])
    assert first.name == "below/a.csv"
    assert look(tmp_path, [path]) == [first]
    path.write_text("other")
    assert look(tmp_path, [path])[0].signature != first.signature
