from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.cluster.config_files import (
    find_configuration,
    read_machine,
    read_workers,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.cluster.machine import Machine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_launchpad.yaml").write_text("host: localhost")
    return tmp_path


def test_the_folder_option_wins_over_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTRUNG_CONFIG", "/nowhere")

    assert find_configuration(folder) == folder.resolve()


def test_the_folder_is_read_from_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTRUNG_CONFIG", str(folder))

    assert find_configuration() == folder.resolve()


def test_no_folder_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEXTRUNG_CONFIG", raising=False)

    with pytest.raises(InputError, match=r"expected -c DIR or \$NEXTRUNG_CONFIG"):
        find_configuration()


def test_a_folder_without_launchpad_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected my_launchpad\.yaml in"):
        find_configuration(tmp_path)


def test_without_a_machine_file_the_defaults_apply(folder: Path) -> None:
    assert read_machine(folder) == Machine()


def test_the_machine_file_is_validated(folder: Path) -> None:
    (folder / "machine.yaml").write_text("job: {}")

    with pytest.raises(InputError, match="job: unknown key; did you mean jobs"):
        read_machine(folder)


def test_worker_files_are_found_in_the_folder_and_its_subfolders(
    folder: Path,
) -> None:
    for name, category in (("", "''"), ("cpu", "cpu"), ("gpu", "[gpu, large]")):
        (folder / name).mkdir(exist_ok=True)
        file = folder / name / "my_fworker.yaml"
        file.write_text(f"name: {name}\ncategory: {category}")

    assert read_workers(folder) == {
        "my_fworker.yaml": (),
        "cpu/my_fworker.yaml": ("cpu",),
        "gpu/my_fworker.yaml": ("gpu", "large"),
    }
