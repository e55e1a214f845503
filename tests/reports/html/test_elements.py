"""HTML as a tree."""

from __future__ import annotations

import json

import pytest

from nextrung.reports.html.elements import (
    MISSING,
    count,
    details,
    element,
    embed_json,
    format_number,
    header,
    number,
    numeric,
    render,
    row,
    table,
    write_duration,
)


def test_text_and_attributes_are_escaped() -> None:
    made = element("p", "<b> & co", title='"quoted" <i>')
    assert render(made) == (
        '<p title="&quot;quoted&quot; <i&gt;">&lt;b&gt; &amp; co</p>'
    )


def test_text_keeps_its_place_between_elements() -> None:
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
def test_numbers_are_written_for_readers(
    value: float | None, digits: int, text: str
) -> None:
    assert format_number(value, digits) == text


def test_a_number_keeps_its_stored_value_beside_the_shown_one() -> None:
    cell = number(0.02713, 1, factor=1000)
    assert (cell[0].text, cell[0].get("value")) == ("27.1", "0.02713")


def test_a_missing_number_says_why() -> None:
    cell = number(None, 1, reason="left out")
    assert (cell.text, cell.get("title")) == (MISSING, "left out")
    assert "title" not in number(None).attrib


def test_a_table_takes_cells_as_they_are_and_wraps_the_others() -> None:
    made = table(header("a", *numeric("b")), [row("x", number(1))])
    assert [cell.tag for cell in made.iter() if cell.tag in {"th", "td"}] == [
        "th",
        "th",
        "td",
        "td",
    ]
    assert [cell.text for cell in made.iter("th")] == ["a", "b"]


def test_details_begin_with_their_summary() -> None:
    assert render(details("more", "text")) == (
        "<details><summary>more</summary>text</details>"
    )


def test_no_content_ends_embedded_json_early() -> None:
    content = {"name": "</script><script>alert(1)</script>"}
    text = render(embed_json(content))
    assert text.count("</script>") == 1
    inner = text.removesuffix("</script>").split(">", 1)[1]
    assert json.loads(inner) == content


def test_durations_have_the_unit_that_suits_them() -> None:
    times = [write_duration(seconds) for seconds in (0.04, 119, 120, 7199, 7200)]
    assert times == ["0.0 s", "119.0 s", "2.0 min", "120.0 min", "2.0 h"]


def test_one_thing_is_singular_and_others_are_plural() -> None:
    assert [count(n, "frame") for n in (0, 1, 1200)] == [
        "0 frames",
        "1 frame",
        "1,200 frames",
    ]
