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


def test_models_of_the_same_forces_have_the_same_densities(
    documents: dict[str, Any],
) -> None:
    """The re-referenced source has references of Mg and O alone."""
    source, moved = (documents[f"density/{m}"] for m in ("source", "source_residual"))

    assert len(documents["fine_tuning/source_residual"].elements) == 2
    assert [row.predicted_density for row in moved.rows] == [
        row.predicted_density for row in source.rows
    ]
    assert (moved.mae, moved.n_failed) == (source.mae, source.n_failed)


def test_digest_changes_with_the_crystals(tmp_path: Path) -> None:
    file = tmp_path / "a.cif"
    maker = DensityMaker(settings=DensitySettings(source=str(tmp_path)))
    digests = []
    for content in ("a", "a", "b"):
        file.write_text(content)
        digests.append(maker.digest_files())

    assert digests[0] == digests[1] != digests[2]
