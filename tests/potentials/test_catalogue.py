from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from tests.families import require_family

from nextrung.potentials.catalogue import (
    ASE,
    CHGNET,
    FAMILIES,
    MACE,
    MATGL,
    MODELS,
    PACKAGES,
    SEVENNET,
    TORCHSIM,
    Family,
    find_model,
    list_installed_versions,
    list_used_packages,
)
from nextrung.potentials.generic.external import ExternalBackend
from nextrung.potentials.interface import Backend, TrainableBackend

#: Loads a potential of ASE, then names the packages that were used.
USE_ASE = """
from nextrung.potentials.catalogue import list_used_packages
from nextrung.potentials.registry import load_potential

load_potential("ase:ase.calculators.emt:EMT", "cpu")
print(list_used_packages())
"""


@pytest.mark.parametrize(
    ("family", "module"),
    [
        (ASE, "generic.ase"),
        (CHGNET, "chgnet.backend"),
        (MACE, "mace.backend"),
        (MATGL, "matgl.backend"),
        (SEVENNET, "sevennet.backend"),
        (TORCHSIM, "generic.torchsim"),
    ],
)
def test_what_a_family_can_do_is_what_its_backend_can(
    family: Family, module: str
) -> None:
    """References are those of a potential; here, whether a family trains."""
    require_family(family.name, family.module)
    room = importlib.import_module(f"nextrung.potentials.{module}")
    [backend] = [
        each
        for each in vars(room).values()
        if isinstance(each, type)
        and issubclass(each, Backend)
        and each.__module__ == room.__name__
    ]

    assert backend.family == family.name
    assert issubclass(backend, TrainableBackend) == family.is_trainable
    assert issubclass(backend, ExternalBackend) != family.has_atom_refs


def test_names_are_unique() -> None:
    names = [model.name for model in MODELS] + [family.name for family in FAMILIES]

    assert len(set(names)) == len(names)
    assert find_model("chgnet-r2scan") is MODELS[1]
    assert find_model("chgnet") is None


def test_packages_of_a_family_are_used_where_one_of_its_potentials_was_loaded() -> None:
    """So a result does not name the version of a package that had no part in it."""
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", USE_ASE], capture_output=True, check=True, text=True
    )

    assert done.stdout.strip() == "['ase']"


def test_installed_versions_are_found_without_an_import() -> None:
    versions = list_installed_versions()

    assert set(versions) <= set(PACKAGES)
    assert {"ase", "chgnet"} <= set(versions)
    assert set(list_used_packages()) <= set(versions)


def test_abilities_are_said_in_words() -> None:
    abilities = {family.name: family.abilities for family in FAMILIES}

    assert abilities["chgnet"] == "predict, relax, refit, fine-tune"
    assert abilities["matgl"] == "predict, relax, refit"
    assert abilities["ase"] == "predict, relax"
