from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.curation.identities import IdentityCounter, list_identity
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.identity import LabelIdentity
from nextrung.schemas.labels.trajectory import Trajectory


def count(runs: list[Trajectory]) -> IdentityCounter:
    counter = IdentityCounter()
    for run in runs:
        counter.add(run)
    return counter


def run_of(name: str, species: list[str], energy: float, **identity: Any) -> Trajectory:  # noqa: ANN401
    sites = np.linspace(0, 0.5, len(species))[:, None] + [0] * 3
    structure = Structure(Lattice.cubic(4), species, sites)
    frames = Frames.from_structures([structure], [f"{name}#0"], functional="r2SCAN")
    known = {
        "code": "VASP",
        "version": "6.3.2.build",
        "functional": "r2SCAN",
        "potentials": {symbol: f"PAW_PBE {symbol}" for symbol in species},
        "plane_wave_cutoff": 520.0,
    }
    described = LabelIdentity.model_validate(known | identity)
    return Trajectory(frames, np.array([True]), 0.0, 520.0, energy, identity=described)


@pytest.fixture
def runs() -> list[Trajectory]:
    """Two runs of CoO and one of MnO; the second CoO has another PAW data set."""
    other = {"potentials": {"Co": "PAW_PBE Co_pv", "O": "PAW_PBE O"}}
    return [
        run_of("first", ["Co", "O"], -5.0),
        run_of("second", ["Co", "O"], -5.08, **other),
        run_of("third", ["Mn", "O"], -6.0),
    ]


def test_every_value_is_counted_with_its_runs(runs: list[Trajectory]) -> None:
    counted = {(v.field, v.value): v for v in count(runs).tabulate()}

    assert counted["version", "6.3.2"].n_runs == 3
    assert counted["potential Co", "PAW_PBE Co_pv"].example == "second"
    assert counted["potential O", "PAW_PBE O"].n_runs == 3
    assert not [field for field, _ in counted if field.startswith("hubbard_u")]


def test_a_hubbard_u_is_counted_with_the_runs_that_have_none() -> None:
    runs = [
        run_of("first", ["Co", "O"], -5.0),
        run_of("second", ["Co", "O"], -4.0, hubbard_us={"Co": 3.3}),
    ]

    (mixture,) = count(runs).find_mixtures()

    assert mixture.field == "hubbard_u Co"
    assert {value.value for value in mixture.values} == {"0 eV", "3.3 eV"}
    assert mixture.energy_difference == pytest.approx(1.0)


def test_a_mixture_is_measured_where_compositions_are_shared(
    runs: list[Trajectory],
) -> None:
    (mixture,) = count(runs).find_mixtures()

    assert mixture.field == "potential Co"
    assert mixture.energy_difference == pytest.approx(0.08)
    assert mixture.composition == "CoO"
    assert [value.n_runs for value in mixture.values] == [1, 1]


def test_a_mixture_of_other_compositions_has_no_size() -> None:
    runs = [
        run_of("first", ["Co", "O"], -5.0),
        run_of("second", ["Mn", "O"], -6.0, plane_wave_cutoff=680.0),
    ]

    (mixture,) = count(runs).find_mixtures()

    assert (mixture.field, mixture.energy_difference) == ("plane_wave_cutoff", None)


def test_runs_of_one_kind_are_no_mixture(runs: list[Trajectory]) -> None:
    assert count([runs[0], runs[2]]).find_mixtures() == []
    unknown = replace(runs[0], identity=None)
    assert count([unknown, runs[1]]).find_mixtures() == []


def test_a_hubbard_u_belongs_to_its_element() -> None:
    identity = LabelIdentity(
        code="VASP",
        functional="PBE",
        potentials={"Fe": "Fe_pv", "O": "O"},
        hubbard_us={"Fe": 5.3},
    )

    fields = list_identity(identity)

    assert fields["hubbard_u Fe"] == "5.3 eV"
    assert fields["hubbard_u O"] == "0 eV"


def test_hashes_of_one_kind_are_compared_and_k_points_are_no_mixture() -> None:
    """An OUTCAR has SHA-256 hashes, a task document those of MD5."""
    runs = [
        run_of(
            "a", ["Co"], -5.0, potential_hashes={"Co": "sha256:ab12"}, k_spacing=0.21
        ),
        run_of("b", ["Co"], -5.1, potential_hashes={"Co": "md5:ab12"}, k_spacing=0.42),
        run_of("c", ["Co"], -5.0, potential_hashes={"Co": "sha256:cd34"}),
    ]

    counter = count(runs)

    assert [mixture.field for mixture in counter.find_mixtures()] == ["sha256 Co"]
    spacings = {v.value for v in counter.tabulate() if v.field == "k_spacing"}
    assert spacings == {"0.2 to 0.3 1/Å", "0.4 to 0.5 1/Å", "unknown"}
