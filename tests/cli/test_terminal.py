from __future__ import annotations

import io

import pytest
from rich.table import Table

from nextrung.cli.running import PlainConsole


@pytest.mark.parametrize(
    "name", ["[mp]-1", "a[/b]", "[red]x[/red]", ":smile:", r"\[a]", "[link=x]y"]
)
def test_names_are_no_markup(name: str) -> None:
    console = PlainConsole(file=io.StringIO(), width=60)
    table = Table(name, title=name)
    table.add_row(name)

    console.print(table)
    console.print(name)

    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count(name) == 4


def test_control_characters_are_replaced() -> None:
    console = PlainConsole(file=io.StringIO(), width=60)

    console.print("a\x1b[2Jb\x07c\u202ed\te\nf")

    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().split() == ["a�[2Jb�c�d", "e", "f"]
