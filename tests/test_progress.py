"""The progress of a run says how many fits are done, how fast, and how long the rest will take."""

import pytest

from batik_utils.experiment.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """clock(seconds) lets time pass, for Progress and for rich."""
    now = [0.0]
    monkeypatch.setattr("batik_utils.experiment.progress.time.monotonic", lambda: now[0])
    monkeypatch.setattr("rich.console.monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


@pytest.fixture
def terminal(monkeypatch):
    """What rich takes for a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_plain_line_counts_fits_per_minute(clock, capsys):
    with Progress(10, True) as bar:
        bar.expect(0)
        clock(35)
        bar.advance(1)
    assert "fits: 1/10, 1.7 fits/min, about 315 s left" in capsys.readouterr().err


def test_the_time_left_goes_by_cost_since_the_longest_tasks_come_first(clock, capsys):
    with Progress(101, True, cost=2000) as bar:
        bar.expect(0)
        clock(35)
        bar.advance(1, 1000)
        clock(35)
        bar.advance(50, 500)
    said = capsys.readouterr().err
    assert "fits: 1/101" in said and "about 35 s left" in said
    assert "fits: 51/101" in said and "about 23 s left" in said


def test_images_are_counted_per_second_and_their_time_is_not_that_of_fits(clock, capsys):
    with Progress(2, True) as bar:
        bar.expect(2)
        clock(31)
        bar.advance_features()
        clock(31)
        bar.advance_features()
        clock(40)
        bar.advance(1)
    said = capsys.readouterr().err
    assert "features: 1/2, 0.0 images/s, about 31 s left" in said
    assert "fits: 1/2, 1.5 fits/min, about 40 s left" in said


def test_the_bar_knows_the_time_left_when_fits_take_more_than_half_a_minute(clock, terminal, capsys):
    with Progress(10, True) as bar:
        bar.expect(0)
        for _ in range(3):
            clock(35)
            bar.advance(1)
    last = capsys.readouterr().err
    assert "3/10" in last and "1.7 fits/min" in last
    assert "0:04:05" in last


def test_who_is_not_shown_hears_nothing(clock, capsys):
    with Progress(10, False) as bar:
        bar.expect(0)
        clock(100)
        bar.advance(1)
        bar.say("a line")
    assert capsys.readouterr().err == ""
