from __future__ import annotations

import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
import torch

from nextrung.potentials.registry import load_potential
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

pytest.importorskip("matgl", reason="no matgl: install the extra `matgl`")
models: ModuleType = pytest.importorskip("tests.potentials.matgl.models")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a TensorNet."""
    path = tmp_path / "tensornet"
    models.save_potential(path)
    return path


def change(folder: Path, **changes: Any) -> None:  # noqa: ANN401
    """Change arguments of the constructor in ``model.pt``"""
    arguments = torch.load(folder / "model.pt", weights_only=True)
    torch.save(arguments | changes, folder / "model.pt")


def test_a_file_cannot_name_a_function_to_be_called(
    folder: Path, tmp_path: Path
) -> None:
    """``matgl.load_model`` imports and calls what the file names."""
    trace = tmp_path / "trace"
    call = {
        "@module": "os",
        "@class": "mkdir",
        "init_args": {"path": str(trace)},
        "@model_version": 1,
    }
    change(folder, model=call)

    with pytest.raises(
        InputError, match=r"expected CHGNet, M3GNet.* got 'mkdir' of 'os'"
    ):
        load_potential(folder, "cpu")
    change(folder, data_mean=call)
    with pytest.raises(InputError, match="expected one model"):
        load_potential(folder, "cpu")

    assert not trace.exists()


class _Payload:
    """An object whose unpickling makes a folder."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["model.pt", "state.pt"])
def test_pickled_code_is_not_run(folder: Path, tmp_path: Path, name: str) -> None:
    trace = tmp_path / "trace"
    torch.save({"model": _Payload(str(trace))}, folder / name)

    with pytest.raises(InputError, match="got other objects than tensors"):
        load_potential(folder, "cpu")

    assert not trace.exists()


def test_weights_that_are_missing_are_an_error(folder: Path) -> None:
    state = torch.load(folder / "state.pt", weights_only=True)
    torch.save(
        {k: v for k, v in state.items() if "embedding" not in k}, folder / "state.pt"
    )

    with pytest.raises(InputError, match="expected all weights of TensorNet of matgl"):
        load_potential(folder, "cpu")


def test_weights_of_another_size_are_an_error(folder: Path, tmp_path: Path) -> None:
    models.save_potential(tmp_path / "other", "M3GNet")
    (folder / "model.pt").write_bytes((tmp_path / "other" / "model.pt").read_bytes())

    with pytest.raises(InputError, match="expected all weights of M3GNet of matgl"):
        load_potential(folder, "cpu")


@pytest.mark.parametrize("name", ["model.pt", "state.pt", "model.json"])
def test_a_truncated_file_is_one_line(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])

    with pytest.raises(InputError, match=r"expected a potential of matgl") as caught:
        load_potential(f"matgl:{folder}", "cpu")

    assert "\n" not in str(caught.value)


def test_a_network_without_a_potential_is_an_error(tmp_path: Path) -> None:
    models.make_potential().model.save(tmp_path / "network")

    with pytest.raises(InputError, match="got a model of other properties"):
        load_potential(tmp_path / "network", "cpu")


@pytest.mark.parametrize("name", ["empty", "no/such/folder"])
def test_a_folder_without_the_files_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(
        InputError, match=r"a folder of matgl with model\.pt, state\.pt"
    ):
        load_potential(f"matgl:{tmp_path / name}", "cpu")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.FIFOTYPE])
def test_members_that_are_no_files_are_an_error(
    folder: Path, tmp_path: Path, kind: bytes
) -> None:
    """Links are not followed."""
    path = tmp_path / "model.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("state.pt", "model.json"):
            archive.add(folder / name, name)
        link = tarfile.TarInfo("model.pt")
        link.type, link.linkname = kind, "/etc/hostname"
        archive.addfile(link)

    with pytest.raises(InputError, match=r"model\.pt: expected a file"):
        load_potential(path, "cpu")


def test_global_states_and_references_by_state_are_not_supported(
    folder: Path, tmp_path: Path
) -> None:
    from matgl.models import TensorNet  # noqa: PLC0415 - of an extra

    potential = models.make_potential()
    network = TensorNet(
        element_types=models.ELEMENTS, units=8, is_intensive=False, include_state=True
    )
    type(potential)(network).save(tmp_path / "state")
    with pytest.raises(InputError, match="with global states is not supported"):
        load_potential(tmp_path / "state", "cpu")

    type(potential)(potential.model, element_refs=[[1.0] * 4] * 2).save(folder)
    with pytest.raises(
        InputError, match=r"each of 4 elements of matgl, got shape \(2, 4"
    ):
        load_potential(folder, "cpu")


def test_metadata_of_others_are_left_alone(folder: Path) -> None:
    described = json.loads((folder / "model.json").read_text())
    described["metadata"] = {"training_set": "MatPES", "nextrung": None}
    (folder / "model.json").write_text(json.dumps(described))

    assert load_potential(folder, "cpu").functional == "unknown functional"


@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_compressed_archives_are_not_read(
    folder: Path, tmp_path: Path, mode: str
) -> None:
    """They could hold more than memory."""
    path = tmp_path / "model.tar"
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name in ("model.pt", "state.pt", "model.json"):
            archive.add(folder / name, name)

    with pytest.raises(InputError, match="a folder of matgl with"):
        load_potential(f"matgl:{path}", "cpu")
