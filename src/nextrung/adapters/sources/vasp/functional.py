"""Functional of a VASP run, named from all tags that decide it.

A name stands for one set of tags. A run that has another tag beside them, or another
value, is of another functional: it is called unknown and its tags are listed, it is
never called by the name of its nearest relative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: How the name of a functional starts that the table does not hold.
UNKNOWN: Final = "unknown: "

#: Every functional that is known, with the tags that differ from VASP's defaults.
FUNCTIONALS: Final[tuple[tuple[str, dict[str, str | float]], ...]] = (
    ("LDA", {"GGA": "CA"}),
    ("PBE", {"GGA": "PE"}),
    ("PBEsol", {"GGA": "PS"}),
    ("revPBE", {"GGA": "RE"}),
    ("RPBE", {"GGA": "RP"}),
    ("PW91", {"GGA": "91"}),
    ("PW91", {"GGA": "91", "VOSKOWN": 1.0}),
    ("AM05", {"GGA": "AM"}),
    ("optB88", {"GGA": "BO", "PARAM1": 0.1833, "PARAM2": 0.22}),
    ("optB86b", {"GGA": "MK"}),
    ("optPBE", {"GGA": "OR"}),
    ("SCAN", {"METAGGA": "SCAN"}),
    ("rSCAN", {"METAGGA": "RSCAN"}),
    ("r2SCAN", {"METAGGA": "R2SCAN"}),
    ("SCAN-L", {"METAGGA": "SCANL"}),
    ("rSCAN-L", {"METAGGA": "RSCANL"}),
    ("r2SCAN-L", {"METAGGA": "R2SCANL"}),
    ("TPSS", {"METAGGA": "TPSS"}),
    ("revTPSS", {"METAGGA": "RTPSS"}),
    ("M06-L", {"METAGGA": "M06L"}),
    ("MS0", {"METAGGA": "MS0"}),
    ("MS1", {"METAGGA": "MS1"}),
    ("MS2", {"METAGGA": "MS2"}),
    ("HLE17", {"METAGGA": "HLE17"}),
    ("LAK", {"METAGGA": "LAK"}),
    ("HF", {"GGA": "PE", "LHFCALC": "T", "AEXX": 1.0}),
    ("PBE0", {"GGA": "PE", "LHFCALC": "T"}),
    ("HSE03", {"GGA": "PE", "LHFCALC": "T", "HFSCREEN": 0.3}),
    ("HSE06", {"GGA": "PE", "LHFCALC": "T", "HFSCREEN": 0.2}),
    ("PBEsol0", {"GGA": "PS", "LHFCALC": "T"}),
    ("HSEsol", {"GGA": "PS", "LHFCALC": "T", "HFSCREEN": 0.2}),
    (
        "B3LYP",
        {
            "GGA": "B3",
            "LHFCALC": "T",
            "AEXX": 0.2,
            "AGGAX": 0.72,
            "AGGAC": 0.81,
            "ALDAC": 0.19,
        },
    ),
    ("SCAN0", {"METAGGA": "SCAN", "LHFCALC": "T"}),
    ("r2SCAN0", {"METAGGA": "R2SCAN", "LHFCALC": "T"}),
    ("vdW-DF", {"GGA": "RE", "LUSE_VDW": "T", "AGGAC": 0.0}),
    ("optPBE-vdW", {"GGA": "OR", "LUSE_VDW": "T", "AGGAC": 0.0}),
    (
        "optB88-vdW",
        {
            "GGA": "BO",
            "LUSE_VDW": "T",
            "AGGAC": 0.0,
            "PARAM1": 0.1833,
            "PARAM2": 0.22,
        },
    ),
    ("optB86b-vdW", {"GGA": "MK", "LUSE_VDW": "T", "AGGAC": 0.0}),
    (
        "rev-vdW-DF2",
        {
            "GGA": "MK",
            "LUSE_VDW": "T",
            "AGGAC": 0.0,
            "PARAM2": 0.7114,
            "ZAB_VDW": -1.8867,
        },
    ),
    ("vdW-DF2", {"GGA": "ML", "LUSE_VDW": "T", "AGGAC": 0.0, "ZAB_VDW": -1.8867}),
    ("vdW-DF-cx", {"GGA": "CX", "LUSE_VDW": "T", "AGGAC": 0.0}),
    ("SCAN-rVV10", {"METAGGA": "SCAN", "LUSE_VDW": "T", "BPARAM": 15.7}),
    ("r2SCAN-rVV10", {"METAGGA": "R2SCAN", "LUSE_VDW": "T", "BPARAM": 11.95}),
    ("PBE-rVV10L", {"GGA": "PE", "LUSE_VDW": "T", "BPARAM": 10.0}),
)

#: VASP's ``IVDW``, by the name of the dispersion correction.
DISPERSIONS: Final = {1: "D2", 10: "D2", 11: "D3", 12: "D3(BJ)", 13: "D4", 20: "TS"}

#: Spellings of one value: VASP's summary holds five letters of ``METAGGA``.
_SPELLINGS: Final = {"PZ": "CA", "R2SCA": "R2SCAN"}
_NOTHING: Final = {"", "--", "NONE", "FALSE", "F"}
#: Switches that no functional of the table uses.
_SWITCHES: Final = ("LIBXC", "LTHOMAS", "LMODELHF", "LRHFCALC", "LHFONE")
#: Texts that no functional of the table uses.
_TEXTS: Final = ("XC", "XC_C", "LIBXC1", "LIBXC2")
#: Algorithms whose last energy is not that of a functional.
_MANY_BODY: Final = ("GW", "G0W", "EVGW", "QPGW", "SCGW", "CHI", "ACFDT", "RPA", "BSE")
#: Numbers that VASP's functionals have by default, whatever else is set.
_DEFAULTS: Final = {"EXXOEP": 0.0, "HFALPHA": 0.0, "MCALPHA": 0.0, "VOSKOWN": 0.0}
#: Second values that stand for the default; that of ``HFALPHA`` is -1 in hybrids.
_OTHER_DEFAULTS: Final = {"HFALPHA": -1.0}
#: Share of exact exchange of a hybrid functional that does not say it.
_EXACT_EXCHANGE: Final = 0.25
#: Functionals of ``GGA`` that have parameters.
_PARAMETRISED: Final = {"MK", "BO"}


def name_functional(tags: Mapping[str, Any], potcar_exchange: str = "PE") -> str:
    """Name the functional that a run was told to use.

    Parameters
    ----------
    tags : mapping of str to object
        Tags of the run from an INCAR, an OUTCAR or a vasprun.xml, as texts or as
        values; those that do not decide the functional, such as ``LDAU``, are ignored.
    potcar_exchange : str
        ``LEXCH`` of the pseudopotentials, which VASP uses where no tag says another.

    Returns
    -------
    str
        Common name, such as ``PBE``, ``r2SCAN`` or ``HSE06``, followed by the
        dispersion correction where there is one, such as ``PBE-D3(BJ)``; or
        ``unknown:`` and all tags that decide it.

    References
    ----------
    Tags, their defaults and the functionals: VASP manual, pages of the categories
    exchange-correlation functionals, hybrid functionals and van der Waals functionals.
    """
    given = {key.upper(): value for key, value in tags.items()}
    decisive = dict(_list_decisive(given, potcar_exchange))
    for name, expected in FUNCTIONALS:
        if decisive == expected:
            return name + _name_dispersion(given)
    return UNKNOWN + ", ".join(f"{tag} = {value}" for tag, value in decisive.items())


def _list_decisive(
    given: Mapping[str, Any], potcar_exchange: str
) -> Iterator[tuple[str, str | float]]:
    """List the tags that decide the functional and are not VASP's defaults."""
    if meta := _read_text(given.get("METAGGA")):
        yield "METAGGA", meta
        base = meta
    else:
        base = _read_text(given.get("GGA")) or potcar_exchange.strip().upper()
        yield "GGA", _SPELLINGS.get(base, base)
    switches = ("LHFCALC", "LUSE_VDW", *_SWITCHES)
    on = [name for name in switches if _is_true(given.get(name))]
    yield from ((name, "T") for name in on)
    yield from (
        (name, text) for name in _TEXTS if (text := _read_text(given.get(name)))
    )
    algorithm = str(given.get("ALGO", "")).strip().upper()
    if algorithm.startswith(_MANY_BODY):
        yield "ALGO", algorithm
    for name, default in _defaults(given, base, on).items():
        number = _read_number(given.get(name, default))
        if number not in (default, _OTHER_DEFAULTS.get(name)):
            yield name, number


def _defaults(given: Mapping[str, Any], base: str, on: list[str]) -> dict[str, float]:
    """List the numbers that a functional depends on, with VASP's defaults."""
    defaults = dict(_DEFAULTS)
    exact = 0.0
    if "LHFCALC" in on:
        defaults |= {"AEXX": _EXACT_EXCHANGE, "HFSCREEN": 0.0}
        share = _read_number(given.get("AEXX", _EXACT_EXCHANGE))
        exact = share if isinstance(share, float) else _EXACT_EXCHANGE
    defaults |= dict.fromkeys(("ALDAX", "AGGAX", "AMGGAX"), round(1 - exact, 4))
    correlation = 0.0 if exact == 1 else 1.0
    defaults |= dict.fromkeys(("ALDAC", "AGGAC", "AMGGAC"), correlation)
    if base in _PARAMETRISED:
        defaults |= {"PARAM1": 0.1234, "PARAM2": 1.0}
    if "LUSE_VDW" in on:
        nonlocal_kernel = {"BPARAM": 0.0, "CPARAM": 0.0093}
        defaults |= {"ZAB_VDW": -0.8491} | nonlocal_kernel
    return defaults


def _name_dispersion(given: Mapping[str, Any]) -> str:
    """Name the dispersion correction, with a dash before it; empty for none."""
    number = _read_number(given.get("IVDW", 0.0))
    if not number and _is_true(given.get("LVDW")):
        number = 1.0
    if not number:
        return ""
    kind = int(number) if isinstance(number, float) else 0
    return f"-{DISPERSIONS.get(kind, f'IVDW{number:g}' if kind else f'IVDW{number}')}"


def _read_text(value: object) -> str:
    """Read a tag that names something; empty where it names nothing."""
    text = str("" if value is None else value).strip().upper()
    return "" if text in _NOTHING else _SPELLINGS.get(text, text)


def _read_number(value: object) -> float | str:
    """Read a tag that is a number, to four digits; its text where it is none."""
    try:
        return round(float(str(value)), 4)
    except ValueError:
        return str(value)


def _is_true(value: object) -> bool:
    """Read a switch as VASP does: by its first letter."""
    return str(value).strip(" .").upper().startswith("T")
