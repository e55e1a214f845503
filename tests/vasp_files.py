"""VASP's output files of a made-up NaCl run, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

OUTCAR_HEADER = """\
 vasp.6.2.1 16May21 (build Nov 25 2021 19:19:29) complex
 INCAR:
   METAGGA = R2SCAN
   NELM = 60
 POTCAR:    PAW_PBE Na_pv 19Sep2006
   VRHFIN =Na: p6s1
   LEXCH  = PE
   TITEL  = PAW_PBE Na_pv 19Sep2006
 POTCAR:    PAW_PBE Cl 06Sep2000
   LEXCH  = PE
   TITEL  = PAW_PBE Cl 06Sep2000
{metagga}
  direct lattice vectors                    reciprocal lattice vectors
     4.000000000  0.000000000  0.000000000     0.250000000  0.000000000  0.000000000
     0.000000000  4.000000000  0.000000000     0.000000000  0.250000000  0.000000000
     0.000000000  0.000000000  4.000000000     0.000000000  0.000000000  0.250000000
   number of dos      NEDOS =    301   number of ions     NIONS =      2
   ions per type =               1   1
   ISPIN  =      2    spin polarized calculation?
   ENCUT  =  520.0 eV  38.22 Ry    6.18 a.u.   8.66  8.66  6.17*2*pi/ulx,y,z
   NELM   =    {nelm};   NELMIN=  6; NELMDL= -5     # of ELM steps
{hubbard}
   GGA     =    --    GGA type
   LEXCH   =     8    internal setting for exchange type
   LHFCALC =     F    Hartree Fock is set to
{more}
"""

OUTCAR_ITERATION = """\
--------------------------------------- Iteration      1(   1)  ----------------
  free energy    TOTEN  =      -999.00000000 eV
"""

OUTCAR_STEP = """\
----------------- aborting loop because EDIFF is reached -----------------------

 magnetization (x)

# of ion       s       p       d       tot
------------------------------------------
    1        0.001   0.002   0.003   0.250
    2       -0.001   0.000   0.000  -1.500
--------------------------------------------------
tot          0.000   0.002   0.003  -1.250
{noncollinear}
  FORCE on cell =-STRESS in cart. coord.  units (eV):
  Total       1.0000      2.0000      3.0000      4.0000      5.0000      6.0000
  in kB      10.00000    20.00000    30.00000    40.00000    50.00000    60.00000
  external pressure =       20.00 kB  Pullay stress =        0.00 kB

 VOLUME and BASIS-vectors are now :
      direct lattice vectors                 reciprocal lattice vectors
     4.000000000-0.400000000  0.000000000     0.250000000  0.000000000  0.000000000
     0.000000000  4.000000000  0.000000000     0.025000000  0.250000000  0.000000000
     0.000000000  0.000000000  5.000000000     0.000000000  0.000000000  0.200000000

 POSITION                                       TOTAL-FORCE (eV/Angst)
 -------------------------------------------------------------------------------
      0.00000      0.00000      0.00000         0.100000      0.200000      0.300000
      2.00000      1.80000      2.50000        {force}    -10.200000    -0.300000
 -------------------------------------------------------------------------------
    total drift:                                0.000000      0.000000     0.000000

  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy   TOTEN  =       {energy:.8f} eV

  energy  without entropy=      -1.00000000  energy(sigma->0) =      -2.00000000
"""

OUTCAR_END = """\
 reached required accuracy - stopping structural energy minimisation

 magnetization (x)

# of ion       s       p       d       tot
------------------------------------------
    1        0.009   0.009   0.009   9.000
    2        0.009   0.009   0.009   9.000

 General timing and accounting informations for this job:
 ========================================================
"""

VASPRUN = """\
<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <generator>
  <i name="program" type="string">vasp </i>
  <i name="version" type="string">6.3.2  </i>
 </generator>
 <incar>
  <i type="int" name="NELM">    60</i>
  <i name="ENCUT">    520.00000000</i>
  <i type="string" name="METAGGA"> R2SCAN</i>
{incar}
 </incar>
 <kpoints>
  <generation param="Gamma">
   <v type="int" name="divisions">       1        1        1 </v>
  </generation>
  <varray name="kpointlist" ><v>  0.0  0.0  0.0 </v></varray>
  <varray name="weights" ><v>   1.0 </v></varray>
 </kpoints>
 <parameters>
  <separator name="electronic" >
   <i name="ENMAX">    520.00000000</i>
   <i type="int" name="NELM">    60</i>
   <i type="int" name="NSW">    1</i>
   <i type="int" name="IBRION">    2</i>
  </separator>
  <separator name="electronic exchange-correlation" >
   <i type="string" name="GGA">--</i>
   <i type="logical" name="LHFCALC"> F  </i>
   <i type="logical" name="LDAU"> F  </i>
  </separator>
 </parameters>
 <atominfo>
  <atoms>       2 </atoms>
  <types>       2 </types>
  <array name="atoms" >
   <dimension dim="1">ion</dimension>
   <field type="string">element</field>
   <field type="int">atomtype</field>
   <set>
    <rc><c>Na</c><c>   1</c></rc>
    <rc><c>Cl</c><c>   2</c></rc>
   </set>
  </array>
  <array name="atomtypes" >
   <dimension dim="1">type</dimension>
   <field type="int">atomspertype</field>
   <field type="string">element</field>
   <field>mass</field>
   <field>valence</field>
   <field type="string">pseudopotential</field>
   <set>
    <rc><c>   1</c><c>Na</c><c>22.99</c><c>7.0</c><c>PAW_PBE Na_pv 19Sep2006</c></rc>
    <rc><c>   1</c><c>Cl</c><c>35.45</c><c>7.0</c><c>PAW_PBE Cl 06Sep2000   </c></rc>
   </set>
  </array>
 </atominfo>
 <structure name="initialpos" >{structure}</structure>
 <calculation>
  <scstep><energy><i name="e_fr_energy">     -9.0 </i></energy></scstep>
  <scstep><energy><i name="e_fr_energy">     -8.1 </i></energy></scstep>
  <structure>{structure}</structure>
  <varray name="forces" >
   <v>  0.10000000  0.20000000  0.30000000 </v>
   <v> -0.10000000 -0.20000000 -0.30000000 </v>
  </varray>
  <varray name="stress" >
   <v>  10.0  40.0  60.0 </v>
   <v>  40.0  20.0  50.0 </v>
   <v>  60.0  50.0  30.0 </v>
  </varray>
  <energy>
   <i name="e_fr_energy">     -8.25 </i>
   <i name="e_wo_entrp">     -8.25 </i>
   <i name="e_0_energy">      0.0 </i>
  </energy>
 </calculation>
 <structure name="finalpos" >{structure}</structure>
</modeling>
"""

VASPRUN_STRUCTURE = """
  <crystal>
   <varray name="basis" >
    <v>  4.0  -0.4  0.0 </v>
    <v>  0.0  4.0  0.0 </v>
    <v>  0.0  0.0  5.0 </v>
   </varray>
   <i name="volume">     80.0 </i>
   <varray name="rec_basis" >
    <v>  0.25  0.0  0.0 </v>
    <v>  0.025  0.25  0.0 </v>
    <v>  0.0  0.0  0.2 </v>
   </varray>
  </crystal>
  <varray name="positions" >
   <v>  0.0  0.0  0.0 </v>
   <v>  0.5  0.5  0.5 </v>
  </varray>
"""


@pytest.fixture
def outcar() -> Callable[..., str]:
    """Write the text of an OUTCAR: one ionic step per energy."""

    def write(
        energies: tuple[float, ...] = (-8.0, -8.25),
        *,
        n_electronic: int = 7,
        nelm: int = 60,
        metagga: str = " METAGGA = R2SCA    LMAXTAU =  6    LMIXTAU =  F",
        hubbard: str = "",
        more: str = "",
        force: str = "-0.100000",
        noncollinear: str = "",
        end: str = OUTCAR_END,
    ) -> str:
        header = OUTCAR_HEADER.format(
            nelm=nelm, metagga=metagga, hubbard=hubbard, more=more
        )
        steps = [
            OUTCAR_ITERATION * n_electronic
            + OUTCAR_STEP.format(energy=energy, force=force, noncollinear=noncollinear)
            for energy in energies
        ]
        return header + "".join(steps) + end

    return write


@pytest.fixture
def vasprun() -> Callable[..., str]:
    """Write the text of a vasprun.xml of one ionic step."""

    def write(incar: str = "") -> str:
        return VASPRUN.format(incar=incar, structure=VASPRUN_STRUCTURE)

    return write
