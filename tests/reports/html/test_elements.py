"""HTML elements."""

from __future__ import annotations

import json

import pytest

from nextrung.reports.html.elements import (
    MISSING,
    details,
    details_table,
    element,
    embed_json,
    format_count,
    format_duration,
    format_number,
    number,
    numeric,
    render,
    row,
    table,
)


def test_text_and_attributes_are_escaped() -> None:
    made = element("p", "<b> & co", title='"quoted" <i>')
    assert render(made) == (
        '<p title="&quot;quoted&quot; <i&gt;">&lt;b&gt; &amp; co</p>'
    )


def test_text_and_elements_keep_their_order() -> None:
    made = element("p", "a", element("b", "c"), "d", "e", element("i"))
    assert render(made) == "<p>a<b>c</b>de<i></i></p>"


def test_names_that_python_reserves_become_attributes() -> None:
    assert render(element("td", class_="x", data_column="e")) == (
        '<td class="x" data-column="e"></td>'
    )


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(1234.56, 1, "1,234.6"), (0.0, 2, "0.00"), (None, 3, MISSING), (-3, 0, "-3")],
)
def test_numbers_have_separators_and_decimals(
    value: float | None, digits: int, text: str
) -> None:
    assert format_number(value, digits) == text


def test_a_number_keeps_its_stored_value_beside_the_shown_one() -> None:
    cell = number(0.02713, 1, factor=1000)
    assert (cell[0].text, cell[0].get("value")) == ("27.1", "0.02713")


def test_a_missing_number_has_its_reason_as_tooltip() -> None:
    cell = number(None, 1, reason="left out")
    assert (cell.text, cell.get("title")) == (MISSING, "left out")
    assert "title" not in number(None).attrib


def test_a_table_wraps_text_in_cells() -> None:
    made = table(["a", *numeric("b")], [row("x", number(1))])
    assert [cell.tag for cell in made.iter() if cell.tag in {"th", "td"}] == [
        "th",
        "th",
        "td",
        "td",
    ]
    assert [cell.text for cell in made.iter("th")] == ["a", "b"]


def test_details_start_with_their_summary() -> None:
    assert render(details("more", "text")) == (
        "<details><summary>more</summary>text</details>"
    )


def test_a_collapsed_table_needs_rows() -> None:
    assert details_table("more", ["a"], []) == []
    (made,) = details_table("more", ["a"], [row("x")])
    assert made.findtext("summary") == "more"
    assert [cell.text for cell in made.iter("td")] == ["x"]


def test_no_content_closes_the_script_of_embedded_json() -> None:
    content = {"name": "</script><script>alert(1)</script>"}
    text = render(embed_json(content))
    assert text.count("</script>") == 1
    inner = text.removesuffix("</script>").split(">", 1)[1]
    assert json.loads(inner) == content


def test_durations_are_in_seconds_minutes_or_hours() -> None:
    times = [format_duration(seconds) for seconds in (0.04, 119, 120, 7199, 7200)]
    assert times == ["0.0 s", "119.0 s", "2.0 min", "120.0 min", "2.0 h"]


def test_a_count_of_one_is_singular() -> None:
    assert [format_count(n, "frame") for n in (0, 1, 1200)] == [
        "0 frames",
        "1 frame",
        "1,200 frames",
    ]
