from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from ase.calculators import emt
from tests.potentials.networks import network_of

import nextrung
from nextrung.potentials.catalogue import (
    CHGNET,
    FAMILIES,
    MODELS,
    SEVENNET,
    find_model,
)
from nextrung.potentials.chgnet.checkpoints import FUNCTIONALS, SHIPPED
from nextrung.potentials.registry import find_files, load_potential
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
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
        InputError, match=r"expected chgnet-0\.3\.0, chgnet-r2scan, .* or a checkpoint"
    ) as e:
        load_potential(name, "cpu")

    assert repr(name) in str(e.value)


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a checkpoint file"):
        load_potential(tmp_path, "cpu")


@pytest.mark.parametrize("name", ["sevennet-0", "sevennet-mf-0/R2SCAN"])
def test_a_missing_extra_is_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, "sevenn", None)  # as if it were not installed
    with pytest.raises(
        InputError, match=rf"^{name}: expected sevenn, .* 'nextrung\[sevennet\]'$"
    ):
        load_potential(name, "cpu")


def test_a_folder_of_matgl_is_recognised_without_matgl(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matgl", None)  # as if it were not installed
    for name in ("model.pt", "state.pt", "model.json"):
        (tmp_path / name).touch()

    for name in (str(tmp_path), f"matgl:{tmp_path}"):
        with pytest.raises(InputError, match=r"install 'nextrung\[matgl\]'$"):
            load_potential(name, "cpu")


def test_the_unknown_name_lists_the_extras_that_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "mace", None)  # as if it were not installed
    with pytest.raises(InputError) as caught:
        load_potential("sevenet-0", "cpu")

    for family in FAMILIES:
        missing = family.extra is not None and not family.is_installed
        assert (f"[{family.extra}]" in str(caught.value)) == missing


def test_the_files_of_a_potential_are_its_checkpoint_or_its_module(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.json"
    load_potential("ase:ase.calculators.emt:EMT", "cpu").save(path)

    assert find_files("chgnet-r2scan") == [SHIPPED["chgnet-r2scan"]]
    assert find_files("ase:ase.calculators.emt:EMT") == [Path(emt.__file__)]
    assert find_files(str(path)) == [path]
    with pytest.raises(InputError, match="expected a module with a file"):
        find_files("ase:sys:exit")


def test_named_models_are_those_of_the_rooms() -> None:
    named = {each.name: each.functional for each in MODELS if each.family is CHGNET}

    assert named == FUNCTIONALS


@pytest.mark.skipif(not SEVENNET.is_installed, reason="no sevenn: extra `sevennet`")
@pytest.mark.parametrize(
    "name", [each.name for each in MODELS if each.family is SEVENNET]
)
def test_named_models_of_sevennet_are_loaded_and_recognised_when_saved(
    name: str, tmp_path: Path
) -> None:
    potential = load_potential(name, "cpu")
    model = find_model(name)

    potential.save(tmp_path / "saved.pth")
    loaded = load_potential(tmp_path / "saved.pth", "cpu")

    assert model is not None
    assert (potential.family, potential.functional) == ("sevennet", model.functional)
    assert (loaded.family, loaded.functional) == ("sevennet", model.functional)
    assert loaded.elements == potential.elements
    assert find_files(name)[0].is_file()


@pytest.mark.skipif(not SEVENNET.is_installed, reason="no sevenn: extra `sevennet`")
@pytest.mark.parametrize("name", ["sevennet-mf-0", "sevennet-mf-0/r2scan"])
def test_a_wrong_fidelity_is_one_line_that_names_those_there_are(name: str) -> None:
    with pytest.raises(InputError, match=r"PBE.*R2SCAN|R2SCAN.*PBE"):
        load_potential(name, "cpu")


def test_a_checkpoint_of_another_family_is_one_line() -> None:
    for prefix in ("mace", "sevennet", "matgl"):
        with pytest.raises(InputError) as caught:
            load_potential(f"{prefix}:{SHIPPED['chgnet-r2scan']}", "cpu")

        assert "\n" not in str(caught.value)
        assert prefix in str(caught.value).lower()


def test_the_package_exports_the_registry() -> None:
    assert nextrung.load_potential is load_potential
