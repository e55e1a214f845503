from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

from jobflow import OutputReference

from nextrung.makers.jobs import fingerprints
from nextrung.makers.jobs.fingerprints import (
    fingerprint_of,
    identify,
    look_up_versions,
    name_parents,
)
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.routing import MAKERS
from nextrung.schemas.base import Provenance, Record, TaskDoc

if TYPE_CHECKING:
    import pytest


class PowerSettings(Record):
    power: int = 2


@dataclass(kw_only=True)
class PowerMaker(StageMaker):
    name: str = "power"
    settings: PowerSettings = field(default_factory=PowerSettings)


@dataclass(kw_only=True)
class FileMaker(PowerMaker):
    name: str = "file"

    def digest_files(self) -> str:
        return "a"


def document(fingerprint: str) -> TaskDoc:
    return TaskDoc(
        provenance=Provenance(
            fingerprint=fingerprint,
            parents={},
            versions={},
            git_commit=None,
            host="here",
            device="cpu",
            completed_at="2026-01-01T00:00:00+00:00",
            wall_time=1.0,
        )
    )


def test_settings_tell_jobs_apart_and_names_do_not() -> None:
    cube = PowerMaker(settings=PowerSettings(power=3))
    assert identify(PowerMaker(), [1]) == identify(PowerMaker(name="other"), [1])
    assert identify(PowerMaker(), [1]) != identify(cube, [1])
    assert fingerprint_of(PowerMaker(), [1]) == fingerprint_of(
        PowerMaker(name="other"), [1]
    )
    assert fingerprint_of(PowerMaker(), [1]) != fingerprint_of(cube, [1])


def test_inputs_count_as_their_references_and_then_as_their_fingerprints() -> None:
    uuids = {identify(PowerMaker(), [OutputReference(name)]) for name in "aab"}
    assert len(uuids) == 2
    prints = {fingerprint_of(PowerMaker(), [document(name)]) for name in "aab"}
    assert len(prints) == 2


def test_another_algorithm_is_another_computation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = fingerprint_of(PowerMaker(), [1])
    job = identify(PowerMaker(), [1])
    monkeypatch.setattr(PowerMaker, "algorithm", 2)
    assert fingerprint_of(PowerMaker(), [1]) != before
    assert identify(PowerMaker(), [1]) == job


def test_another_version_of_a_package_is_the_same_computation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = fingerprint_of(PowerMaker(), [1])
    monkeypatch.setattr(fingerprints, "version", lambda _: "99.0")
    assert fingerprint_of(PowerMaker(), [1]) == before


def test_every_maker_of_a_job_states_the_version_of_its_algorithm() -> None:
    makers = [
        kind
        for kind in StageMaker.__subclasses__()
        if kind.__module__.startswith("nextrung.")
    ]
    assert {*MAKERS.values()} <= {*makers}
    assert [kind for kind in makers if "algorithm" not in vars(kind)] == []


def test_changed_files_are_another_computation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = fingerprint_of(FileMaker(), [1])
    assert fingerprint_of(FileMaker(), [1]) == before
    monkeypatch.setattr(FileMaker, "digest_files", lambda _: "b")
    assert fingerprint_of(FileMaker(), [1]) != before


def test_parents_are_named_by_where_they_stand() -> None:
    others = {"more": [document("q"), document("r")]}
    assert name_parents({"base": document("p"), "others": others}) == {
        "base": "p",
        "others more 0": "q",
        "others more 1": "r",
    }


def test_versions_are_those_installed() -> None:
    assert look_up_versions(["numpy"]) == {"numpy": version("numpy")}
