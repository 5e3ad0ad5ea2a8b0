"""The progress of a run says how much is done and how long the rest will take, in one line or in many."""

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


def said_after(clock, capsys, jobs, total=None, cost=100.0):
    """What a stage of `total` jobs says once jobs (seconds, cost) are done."""
    with Progress(True) as bar:
        bar.stage("fits", total or len(jobs), "fits", cost)
        for seconds, spent in jobs:
            clock(seconds)
            bar.advance(1, spent)
    return capsys.readouterr().err.splitlines()


def test_the_time_left_goes_by_cost_and_each_stage_has_its_own(clock, capsys):
    with Progress(True) as bar:
        bar.stage("features", 4, "images")
        for _ in bar.watch(range(4)):
            clock(31)
        bar.stage("fits", 101, "fits", cost=2000)
        for fits, cost in ((1, 800), (1, 200), (50, 500)):
            clock(35)
            bar.advance(fits, cost)
    said = capsys.readouterr().err
    assert "features: 50% (2 of 4 images), about 62 s left" in said
    assert "fits: 50% (2 of 101 fits), about 70 s left" in said
    assert "fits: 75% (52 of 101 fits), about 35 s left" in said


@pytest.mark.parametrize(
    ("jobs", "told"),
    [
        ([(300, 10)], False),  # the first job compiled its network
        ([(300, 10), (31, 10)], True),
        ([(300, 2), (31, 2.9)], False),  # 4.9 %
        ([(300, 2), (31, 3)], True),  # 5 %
        ([(1, 20), (1.1, 20)], False),  # two seconds
        ([(2.1, 20), (31, 20)], True),
    ],
)
def test_no_time_left_is_told_before_it_means_something(clock, capsys, jobs, told):
    assert ("left" in said_after(clock, capsys, jobs, total=200)[-1]) == told


@pytest.mark.parametrize("cost", [0.0, 100.0])
def test_a_hundred_per_cent_is_the_end_and_no_sooner(clock, capsys, cost):
    lines = said_after(clock, capsys, [(40, 60.0), (40, 60.0), (40, 0.0)], cost=cost or None)
    assert [line[: line.index(" (")] for line in lines][1:] == ["fits: 99%", "fits: 100%"]
    assert "left" not in lines[-1]


def test_a_terminal_is_told_the_same(clock, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with Progress(True) as bar:
        bar.stage("fits", 10, "fits")
        for _ in range(3):
            clock(35)
            bar.advance()
    assert "30% (3 of 10 fits), about 245 s left" in capsys.readouterr().err


def test_what_is_soon_done_and_who_is_not_shown_hear_nothing(clock, capsys):
    for shown, seconds in ((True, 0.2), (False, 100)):
        with Progress(shown) as bar:
            bar.stage("fits", 2)
            clock(seconds)
            bar.advance()
    bar.say("a line")
    assert capsys.readouterr().err == ""
