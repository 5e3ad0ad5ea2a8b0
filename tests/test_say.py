"""Prose with numbers in it: what stands in a `%%say` cell, and the rules that decide its words."""

from types import SimpleNamespace

import pytest
from results_factory import make_results

from batik_utils.errors import BatikError
from batik_utils.report.say import filled
from batik_utils.stats import compare as rules
from batik_utils.stats.intervals import Interval


def test_numbers_are_written_as_everywhere_and_blank_lines_part_paragraphs():
    share = Interval(0.774, 0.71, 0.838, 10)
    told = filled(
        "{{ a | reached }}{% if a.low > 0.5 %}, over half{% endif %}.\n\n{{ 3 | number('seed') }}", {"a": share}
    )
    assert told == "77.4\u00a0% (71.0–83.8\u00a0%), over half.\n\n3 seeds"
    gap = Interval(0.12, -0.01, 0.25, 10)
    assert filled("{{ g | points_interval }}", {"g": gap}) == "+12.0\u00a0points (−1.0 to +25.0\u00a0points)"
    assert filled("{% filter indonesian %}{{ a | reached }}, 1,200{% endfilter %}", {"a": share}).startswith("77,4")


def test_what_comes_from_a_disk_is_text_and_what_is_markdown_says_so():
    assert filled("{{ n }}, {{ n | safe }}, {{ [n, n] | listed }}", {"n": "*"}) == r"\*, *, \* and \*"
    names = ["a to b", "7 points", "v1.2", "1,2"]
    assert filled(
        "{% filter indonesian %}{{ n | terdaftar }}: {{ 0.5 | points }}{% endfilter %}", {"n": names[:3]}
    ) == ("a to b, 7 points, dan v1.2: 50,0\u00a0poin")


def test_of_a_list_that_grows_with_files_ten_are_named_and_the_others_counted():
    names = [f"n{i}" for i in range(13)]
    assert filled("{{ n | few | listed }}", {"n": names}) == f"{', '.join(names[:10])} and 3 more"
    assert filled("{{ n | few | length }}", {"n": names[:10]}) == "10"


def test_a_name_that_is_not_there_is_an_error_that_names_it():
    with pytest.raises(BatikError, match="'nothing' is undefined"):
        filled("{{ nothing }}", {})
    with pytest.raises(BatikError, match="line 2"):
        filled("a\n{% if %}", {})
    assert filled("## A heading {#sec-a}", {}) == "## A heading {#sec-a}"


def test_a_verdict_needs_nine_tenths_of_the_planned_fits():
    c = rules.compare(make_results({"a": 0.9, "b": 0.5}), "a", "b")
    assert (
        rules.verdict(c, 9, 10) == "better" and rules.verdict(c, 8, 10) == rules.verdict(None, 10, 10) == "too few fits"
    )


def test_each_rule_has_two_sides():
    band = Interval(0.5, 0.4, 0.6, 10)
    assert [rules.side(band, line) for line in (0.39, 0.5, 0.61)] == ["above", "open", "below"]
    assert rules.side(None, 0.5) == "open"
    steps = [Interval(0.03, 0.01, 0.05, 5), Interval(0.0, -0.01, 0.019, 5), Interval(0.0, -0.01, 0.021, 5), None]
    assert [rules.trend(step) for step in steps] == ["rising", "level", "open", "open"]
    assert [rules.fit_gap(v, band) for v in (0.61, 0.6, 0.39)] == ["overfits", "open", "below"]
    assert rules.uneven([8, 17, 9]) and not rules.uneven([8, 16, 9])
    assert rules.turned_up([1.0, 0.5, 0.56]) and not rules.turned_up([1.0, 0.5, 0.55])


def test_what_is_declared_sorts_what_a_model_is_set_against():
    def against(value, declared):
        return SimpleNamespace(declared=declared, difference=Interval(value, 0, 0, 1))

    found = rules.sorted_out({"x": against(0.1, True), "y": against(0.1, False), "z": against(-0.1, True)})
    assert found == {"better": ["x"], "open": ["y"], "worse": ["z"]}
