from __future__ import annotations

from typing import Any

import pytest

from nextrung.adapters.sources.vasp.functional import (
    FUNCTIONALS,
    UNKNOWN,
    name_functional,
)

HYBRID = {"LHFCALC": True}
NONLOCAL = {"LUSE_VDW": True, "AGGAC": 0.0}
#: VASP's summary of HSE06 in an OUTCAR, where every value is a text.
HSE06_SUMMARY = {
    "GGA": "--",
    "LHFCALC": "T",
    "AEXX": "0.2500",
    "HFSCREEN": "0.2000",
    "ALDAX": "0.7500",
    "AGGAX": "0.7500",
    "ALDAC": "1.0000",
    "AGGAC": "1.0000",
}
#: Parameters of every vasprun.xml, whatever its functional.
PARAMETERS: dict[str, Any] = {
    "GGA": "--",
    "VOSKOWN": 0,
    "LHFCALC": False,
    "AEXX": 0.0,
    "ALDAX": 1.0,
    "AGGAX": 1.0,
    "ALDAC": 1.0,
    "AGGAC": 1.0,
    "HFSCREEN": 0.0,
    "LUSE_VDW": False,
    "Zab_VDW": -0.8491,
    "PARAM1": 0.1234,
    "PARAM2": 1.0,
    "EXXOEP": 0,
}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, "PBE"),
        (PARAMETERS, "PBE"),
        ({"GGA": "PE"}, "PBE"),
        ({"GGA": "PS"}, "PBEsol"),
        ({"GGA": "RP"}, "RPBE"),
        ({"GGA": "RE"}, "revPBE"),
        ({"GGA": "91"}, "PW91"),
        ({"GGA": "CA"}, "LDA"),
        ({"GGA": "PZ"}, "LDA"),
        ({"METAGGA": "R2scan"}, "r2SCAN"),
        ({"METAGGA": "R2SCA"}, "r2SCAN"),
        ({"METAGGA": "R2SCAN", "GGA": "PS"}, "r2SCAN"),
        ({"METAGGA": "Scan"}, "SCAN"),
        ({"METAGGA": "--"}, "PBE"),
        ({"METAGGA": "R2SCAN", "LDAU": True}, "r2SCAN"),
        ({"METAGGA": "RSCAN"}, "rSCAN"),
        ({"METAGGA": "R2SCANL"}, "r2SCAN-L"),
        ({"METAGGA": "SCANL"}, "SCAN-L"),
        ({"METAGGA": "HLE17"}, "HLE17"),
        (HYBRID, "PBE0"),
        (HYBRID | {"HFSCREEN": 0.2}, "HSE06"),
        (HYBRID | {"HFSCREEN": 0.3}, "HSE03"),
        (HSE06_SUMMARY, "HSE06"),
        (HYBRID | {"HFSCREEN": 0.2, "HFALPHA": -1.0}, "HSE06"),  # of a vasprun.xml
        (PARAMETERS | HYBRID | {"AEXX": 0.25, "AGGAX": 0.75, "ALDAX": 0.75}, "PBE0"),
        (HYBRID | {"GGA": "PS", "HFSCREEN": 0.2}, "HSEsol"),
        (HYBRID | {"METAGGA": "R2SCAN", "AEXX": 0.25}, "r2SCAN0"),
        (HYBRID | {"AEXX": 1.0}, "HF"),
        (HYBRID | {"AEXX": "1.0000", "ALDAC": "0.0", "AGGAC": "0.0"}, "HF"),
        ({"IVDW": 11}, "PBE-D3"),
        ({"IVDW": "12"}, "PBE-D3(BJ)"),
        ({"LVDW": ".TRUE."}, "PBE-D2"),
        ({"METAGGA": "R2SCAN", "IVDW": 12}, "r2SCAN-D3(BJ)"),
        ({"IVDW": 263}, "PBE-IVDW263"),
        (NONLOCAL | {"GGA": "RE"}, "vdW-DF"),
        (NONLOCAL | {"GGA": "MK", "PARAM1": 0.1234, "PARAM2": 1.0}, "optB86b-vdW"),
        (NONLOCAL | {"GGA": "ML", "Zab_vdW": -1.8867}, "vdW-DF2"),
        ({"METAGGA": "SCAN", "LUSE_VDW": True, "BPARAM": 15.7}, "SCAN-rVV10"),
        ({"METAGGA": "R2SCAN", "LUSE_VDW": True, "BPARAM": 11.95}, "r2SCAN-rVV10"),
        ({"ALGO": 38}, "PBE"),
    ],
    ids=str,
)
def test_every_set_of_tags_has_its_name(tags: dict[str, Any], expected: str) -> None:
    assert name_functional(tags) == expected


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"GGA": "ML"}, "GGA = ML"),
        ({"GGA": "CX"}, "GGA = CX"),
        ({"GGA": "BF"}, "GGA = BF"),
        ({"GGA": "junk"}, "GGA = JUNK"),
        ({"METAGGA": "MBJ"}, "METAGGA = MBJ"),
        ({"METAGGA": "NEW"}, "METAGGA = NEW"),
        (HYBRID | {"AEXX": 0.3}, "AEXX = 0.3"),
        (HYBRID | {"HFSCREEN": 0.11}, "HFSCREEN = 0.11"),
        (HYBRID | {"HFALPHA": 0.5}, "HFALPHA = 0.5"),
        (HYBRID | {"METAGGA": "R2SCAN", "AEXX": 0.1}, "METAGGA = R2SCAN, LHFCALC = T"),
        (HYBRID | {"AGGAC": 0.5}, "AGGAC = 0.5"),
        ({"METAGGA": "R2SCAN", "LUSE_VDW": True}, "LUSE_VDW = T"),
        ({"METAGGA": "R2SCAN", "LUSE_VDW": True, "BPARAM": 15.7}, "BPARAM = 15.7"),
        ({"GGA": "RE", "LUSE_VDW": True, "BPARAM": 9.0}, "GGA = RE, LUSE_VDW = T"),
        ({"LUSE_VDW": True}, "LUSE_VDW = T"),
        ({"GGA": "PE", "AGGAC": 0.0}, "AGGAC = 0.0"),
        ({"LIBXC": ".TRUE.", "LIBXC1": "GGA_X_PBE"}, "LIBXC = T, LIBXC1 = GGA_X_PBE"),
        ({"LTHOMAS": True}, "LTHOMAS = T"),
        ({"VOSKOWN": 1}, "VOSKOWN = 1.0"),
        ({"ALGO": "GW0"}, "ALGO = GW0"),
        ({"LHFCALC": True, "AEXX": "much"}, "AEXX = much"),
    ],
    ids=str,
)
def test_an_unknown_or_additional_tag_is_no_known_functional(
    tags: dict[str, Any], said: str
) -> None:
    name = name_functional(tags)

    assert name.startswith(UNKNOWN)
    assert said in name
    assert name not in dict(FUNCTIONALS)


def test_every_functional_of_the_table_is_reached_by_its_tags() -> None:
    for name, tags in FUNCTIONALS:
        assert name_functional(tags) == name


def test_no_two_functionals_have_the_same_tags() -> None:
    tags = [str(sorted(each.items(), key=str)) for _, each in FUNCTIONALS]
    assert len(tags) == len(set(tags))


def test_the_pseudopotentials_decide_where_no_tag_does() -> None:
    assert name_functional({"GGA": "--"}, "CA") == "LDA"
