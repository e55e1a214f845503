from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from tests.potentials.networks import network_of

import nextrung
from nextrung.potentials.chgnet.checkpoints import SHIPPED
from nextrung.potentials.registry import load_potential
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.potentials.potential import Potential


@pytest.mark.parametrize(
    ("name", "functional"),
    [("chgnet-0.3.0", "GGA/GGA+U (MP2020-corrected)"), ("chgnet-r2scan", "r2SCAN")],
)
def test_shipped_models_are_loaded_by_name(name: str, functional: str) -> None:
    potential = load_potential(name, "cpu")

    assert (potential.name, potential.functional) == (name, functional)
    assert potential.device == torch.device("cpu")
    assert not network_of(potential).training
    assert set(potential.atom_refs) == potential.elements


def test_a_shipped_file_is_loaded_by_its_path(target: Potential) -> None:
    path = SHIPPED["chgnet-r2scan"]

    potential = load_potential(path, "cpu")

    assert potential.name == str(path)
    assert potential.functional == "unknown functional"
    assert potential.atom_refs == target.atom_refs


@pytest.mark.parametrize("as_string", [True, False])
def test_a_saved_checkpoint_is_loaded_by_its_path_with_its_functional(
    target: Potential, tmp_path: Path, *, as_string: bool
) -> None:
    path = tmp_path / "model.pth"
    target.save(path)

    loaded = load_potential(str(path) if as_string else path, "cpu")

    assert (loaded.name, loaded.functional) == (str(path), "r2SCAN")
    assert loaded.elements == target.elements


def test_the_default_device_is_cuda_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert load_potential("chgnet-0.3.0").device.type == "cpu"


@pytest.mark.parametrize("name", ["", "chgnet", "chgnet-r2SCAN", "no/such/file.pth"])
def test_an_unknown_name_is_rejected_with_the_known_ones(name: str) -> None:
    with pytest.raises(
        InputError, match=r"expected chgnet-0\.3\.0, chgnet-r2scan or"
    ) as e:
        load_potential(name, "cpu")

    assert repr(name) in str(e.value)


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a checkpoint file"):
        load_potential(tmp_path, "cpu")


def test_the_package_exports_the_registry() -> None:
    assert nextrung.load_potential is load_potential
