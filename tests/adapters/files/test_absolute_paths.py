from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nextrung.adapters.files.paths import require_absolute_paths
from nextrung.adapters.files.study_yaml import read_study
from nextrung.schemas.base import InputError
from nextrung.schemas.study import StudySettings

WORKFLOWS = Path(__file__).parents[3] / "workflows"


def study(**settings: Any) -> StudySettings:  # noqa: ANN401
    return StudySettings.model_validate({"name": "demo"} | settings)


@pytest.mark.parametrize("file", sorted(WORKFLOWS.glob("*.yaml")), ids=lambda f: f.stem)
def test_studies_of_the_project_can_be_submitted(file: Path) -> None:
    require_absolute_paths(read_study(file))


@pytest.mark.parametrize("path", ["/data/runs", "$NEXTRUNG_DATA/runs", "~/runs"])
def test_paths_that_hold_everywhere_are_fine(path: str) -> None:
    require_absolute_paths(
        study(dataset={"source": {"kind": "vasp", "paths": [path]}}, source=path)
    )


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"source": "models/mine.pth.tar"}, "source"),
        (
            {"dataset": {"source": {"kind": "vasp", "paths": ["/a", "runs"]}}},
            r"dataset\.source\.paths",
        ),
        (
            {"dataset": {"source": {"kind": "task_documents", "store": "s.yaml"}}},
            r"dataset\.source\.store",
        ),
        ({"density": {"source": "./crystals"}}, r"density\.source"),
    ],
)
def test_relative_paths_are_refused(settings: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError, match=f"^{where}: expected a path that workers"):
        require_absolute_paths(study(**settings))
