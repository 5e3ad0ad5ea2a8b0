"""The progress of a run says how much is done and how long the rest will take, in a bar or in plain lines."""

import pytest

from batik_utils.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """clock(seconds) lets time pass, for Progress and for rich."""
    now = [0.0]
    monkeypatch.setattr("batik_utils.progress.time.monotonic", lambda: now[0])
    monkeypatch.setattr("rich.console.monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def test_the_time_left_goes_by_cost_since_the_longest_tasks_come_first_and_each_stage_has_its_own(clock, capsys):
    with Progress(True) as bar:
        bar.stage("features", 2, "images")
        for _ in bar.watch(range(2)):
            clock(31)
        bar.stage("fits", 101, "fits", cost=2000)
        for fits, cost in ((1, 1000), (50, 500)):
            clock(35)
            bar.advance(fits, cost)
    said = capsys.readouterr().err
    assert "features: 50% (1 of 2 images), about 31 s left" in said
    assert "fits: 50% (1 of 101 fits), about 35 s left" in said
    assert "fits: 75% (51 of 101 fits), about 23 s left" in said


def test_the_bar_knows_the_time_left_when_fits_take_more_than_half_a_minute(clock, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with Progress(True) as bar:
        bar.stage("fits", 10, "fits")
        for _ in range(3):
            clock(35)
            bar.advance()
    last = capsys.readouterr().err
    assert "3 of 10 fits" in last and "0:04:05" in last


def test_what_is_soon_done_and_who_is_not_shown_hear_nothing(clock, capsys):
    for shown, seconds in ((True, 0.2), (False, 100)):
        with Progress(shown) as bar:
            bar.stage("fits", 2)
            clock(seconds)
            bar.advance()
    bar.say("a line")
    assert capsys.readouterr().err == ""
