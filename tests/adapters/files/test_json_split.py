from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nextrung.adapters.files import json_split
from nextrung.adapters.files.json_split import cut_members

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(' a"\\{}[],:é', max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
CONTAINERS = st.lists(JSON, max_size=4) | st.dictionaries(
    st.text(max_size=3), JSON, max_size=4
)


@pytest.fixture(params=[1, 2, 7, 1 << 20], ids=str)
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes per read; members extend over several small blocks."""
    size: int = request.param
    monkeypatch.setattr(json_split, "BLOCK", size)
    return size


def put_together(content: bytes) -> Any:  # noqa: ANN401
    """Parse the members one by one and combine them to one object or list."""
    whole: Any = [] if content.lstrip()[:1] == b"[" else {}
    for text, _ in cut_members(io.BytesIO(content)):
        member = json.loads(text)
        if not member:
            raise ValueError("empty member")
        whole = whole + member if isinstance(whole, list) else whole | member
    return whole


def count_names(text: bytes) -> list[int]:
    return [count for _, count in cut_members(io.BytesIO(text))]


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("indent", [None, 1])
def test_all_members_together_are_the_whole_file(indent: int | None) -> None:
    contents: tuple[Any, ...] = (
        {"a": {"b": [1, "},{", {"c": '"'}]}, "d\\": "\\", "": []},
        [{"a": [[], {}]}, "]", None, [[["\\\\"]]]],
        {},
        [],
    )
    for content in contents:
        assert put_together(json.dumps(content, indent=indent).encode()) == content


@given(content=CONTAINERS)
def test_any_json_is_split_into_its_members(content: Any) -> None:  # noqa: ANN401
    text = json.dumps(content, ensure_ascii=False).encode()

    assert put_together(text) == content
    assert len(count_names(text)) == len(content)


@given(content=CONTAINERS, data=st.data())
@example(content={"a": 1}, data=None)
def test_damaged_text_is_accepted_exactly_where_the_json_module_accepts_it(
    content: Any,  # noqa: ANN401
    data: st.DataObject | None,
) -> None:
    """One byte is deleted or replaced; the reference is the json module."""
    text = json.dumps(content).encode()
    place, byte = 0, b""
    if data is not None:
        place = data.draw(st.integers(0, len(text) - 1))
        byte = data.draw(st.sampled_from([b"", *(bytes([b]) for b in b'{}[]",:1\\ ')]))
    damaged = text[:place] + byte + text[place + 1 :]
    try:
        expected = json.loads(damaged)
    except ValueError:
        expected = None
    if not isinstance(expected, dict | list):
        with pytest.raises(ValueError, match=r"\w"):
            put_together(damaged)
    else:
        assert put_together(damaged) == expected


@pytest.mark.parametrize(
    "text", [b"[, null]", b"[,]", b'{, "a": 1}', b"[1,]", b"[1,,2]"]
)
def test_a_comma_without_a_member_is_rejected(text: bytes) -> None:
    with pytest.raises(ValueError, match="empty member"):
        put_together(text)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"a": {"b": {"c": {"d": 1}}, "e": 1}, "f": 1}', [3, 0]),
        (b'{"a": {"b:": 1, "b:": 1}}', [2]),
        (b'[{"a": {"b": {"c": 1}}}, [{"d": 1}]]', [2, 1]),
    ],
)
def test_names_are_counted_on_two_levels(text: bytes, expected: list[int]) -> None:
    """Names of a member and of its members, with repetitions."""
    assert count_names(text) == expected


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "nothing"),
        (b" 1", "no object or list"),
        (b'{"a": 1', "the end of the file within an entry"),
        (b'{"a": 1]', "a closing bracket that does not match"),
        (b'{"a": 1} x', "or data after it"),
        (b"[1]   \n  [", "or data after it"),
    ],
)
def test_anything_but_an_object_or_a_list_is_rejected(text: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        put_together(text)


def test_a_missing_quote_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_split, "BLOCK", 16)
    monkeypatch.setattr(json_split, "MAX_MEMBER", 64)

    with pytest.raises(ValueError, match="an entry that does not end"):
        put_together(b'{"a": "' + 100 * b"1, ")


def test_the_file_is_not_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_split, "BLOCK", 4)
    file = io.BytesIO(b"[1, 2, 3, 4, 5, 6, 7, 8]")

    assert next(cut_members(file)) == (b"[1]", 0)
    assert file.tell() == 4
