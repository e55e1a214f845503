from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nextrung.adapters.files.paths import (
    expand_files,
    expand_path,
    require_absolute_paths,
)
from nextrung.adapters.files.study_yaml import read_study
from nextrung.schemas.base import InputError
from nextrung.schemas.study import StudySettings

WORKFLOWS = Path(__file__).parents[3] / "workflows"


@pytest.mark.parametrize("written", ["$SOME_DATA/runs", "${SOME_DATA}/runs"])
def test_variables_are_expanded(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.setenv("SOME_DATA", str(tmp_path))

    assert expand_path(written) == tmp_path / "runs"


def test_the_error_of_an_unset_variable_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SOME_DATA", raising=False)

    with pytest.raises(InputError, match="environment variable SOME_DATA is not set"):
        expand_path("$SOME_DATA/runs")


def test_the_error_of_a_missing_folder_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a file or folder, got none at .*x"):
        expand_path(str(tmp_path / "x"))


def test_files_keep_their_order(tmp_path: Path) -> None:
    written = [str(tmp_path / f"{name}.json") for name in "ba"]
    for name in written:
        Path(name).touch()

    assert [str(path) for path in expand_files(written, "a JSON file")] == written


def test_a_folder_is_rejected_where_a_file_is_expected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a JSON file, got a folder at"):
        expand_files([str(tmp_path)], "a JSON file")


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a file or folder, got none at"):
        expand_files([str(tmp_path / "none.json")], "a JSON file")


def study(**settings: Any) -> StudySettings:  # noqa: ANN401
    return StudySettings.model_validate({"name": "demo"} | settings)


@pytest.mark.parametrize("file", sorted(WORKFLOWS.glob("*.yaml")), ids=lambda f: f.stem)
def test_study_files_of_the_project_can_be_submitted(file: Path) -> None:
    require_absolute_paths(read_study(file))


@pytest.mark.parametrize("path", ["/data/runs", "$NEXTRUNG_DATA/runs", "~/runs"])
def test_paths_that_do_not_depend_on_the_working_directory_are_valid(path: str) -> None:
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
def test_relative_paths_are_rejected(settings: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError, match=f"^{where}: expected a path that workers"):
        require_absolute_paths(study(**settings))
