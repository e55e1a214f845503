from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextrung.makers.density import DensityMaker
from nextrung.schemas.density import DensitySettings

if TYPE_CHECKING:
    from pathlib import Path


def test_every_crystal_has_a_row(documents: dict[str, Any]) -> None:
    density = documents["density/source"]

    assert density.n_crystals == len(density.rows) == 2
    assert density.labels == "GGA/GGA+U (MP2020-corrected)"


def test_digest_changes_with_the_crystals(tmp_path: Path) -> None:
    file = tmp_path / "a.cif"
    maker = DensityMaker(settings=DensitySettings(source=str(tmp_path)))
    digests = []
    for content in ("a", "a", "b"):
        file.write_text(content)
        digests.append(maker.digest_files())

    assert digests[0] == digests[1] != digests[2]
