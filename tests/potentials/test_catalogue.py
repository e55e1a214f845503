from __future__ import annotations

import subprocess
import sys

from nextrung.potentials.catalogue import (
    FAMILIES,
    MODELS,
    PACKAGES,
    find_model,
    list_installed_versions,
    list_used_packages,
)

#: Loads a potential of ASE, then names the packages that were used.
USE_ASE = """
from nextrung.potentials.catalogue import list_used_packages
from nextrung.potentials.registry import load_potential

load_potential("ase:ase.calculators.emt:EMT", "cpu")
print(list_used_packages())
"""


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
