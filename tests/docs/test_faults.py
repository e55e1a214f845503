"""Every row of the page of faults has a test, and every such test a row."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def read_rows() -> dict[str, str]:
    """Read the tests that the rows of tables of faults name, by fault."""
    page = (ROOT / "docs" / "faults.md").read_text()
    tables = page.split("| fault |")[1:]
    lines = [line for table in tables for line in table.splitlines()[2:]]
    cells = [line.split("|") for line in lines if line.startswith("|")]
    assert all(len(row) == 6 for row in cells)
    return {row[1].strip(): row[4].strip() for row in cells}


def test_every_fault_has_a_test_and_every_test_of_faults_a_row() -> None:
    rows = read_rows()
    assert len(rows) > 15
    named = {test.strip("`") for test in rows.values()}

    assert named <= list_tests(ROOT / "tests")
    assert list_tests(ROOT / "tests" / "faults") <= named


def list_tests(folder: Path) -> set[str]:
    """List the names of the tests below a folder."""
    sources = "\n".join(path.read_text() for path in folder.rglob("*.py"))
    return set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE))


def test_the_files_of_unfinished_work_are_those_that_the_code_names() -> None:
    page = (ROOT / "docs" / "faults.md").read_text()
    folder = ROOT / "src" / "nextrung"
    sources = "\n".join(path.read_text() for path in folder.rglob("*.py"))

    for name in ("relaxations.jsonl", "restart.npz", "last.ckpt", "previous.ckpt"):
        assert f"`{name}`" in page
        assert f'"{name}"' in sources
