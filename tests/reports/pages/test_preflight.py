from __future__ import annotations

from typing import TYPE_CHECKING

from tests.made_up_study import make_preflight

from nextrung.reports.pages.preflight import write_preflight

if TYPE_CHECKING:
    from pathlib import Path


def test_the_page_names_the_study_and_its_labels(tmp_path: Path) -> None:
    write_preflight(make_preflight(), "tried<out>", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()

    assert "<h1>tried&lt;out&gt;</h1>" in text
    assert "labels: distilled from chgnet-r2scan" in text
    assert "<b>NO-GO</b>" in text
