#!/usr/bin/env bash
# Remakes the data set of GPAW labels in FOLDER; a later call goes on with what is missing.
# Usage: run.sh FOLDER [options of nextrung label, such as --processes 8]
set -uo pipefail  # a structure that fails is a row, and exit code 1 of its step
here=$(cd "$(dirname "$0")" && pwd)
script=$here/make.py
folder=$(mkdir -p "$1" && cd "$1" && pwd)
shift
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

label() { # structures, settings, functional, run folder
  nextrung label --engine gpaw "${options[@]}" "$1" --settings "$here/$2.yaml" \
    --functional "$3" --root "$4"
}

options=("$@")
cd "$folder"
[ -f crystals.parquet ] || python "$script" crystals crystals.parquet
label crystals.parquet relaxation PBE relaxed
[ -f 3_displaced.parquet ] || python "$script" frames relaxed .
for frames in 1_relaxed 2_strained 3_displaced; do
  label $frames.parquet single_point PBE pbe
  label $frames.parquet single_point r2SCAN r2scan
done
python "$here/converge.py" crystals.parquet "$here/single_point.yaml" convergence.jsonl
python "$script" pack pbe r2scan gpaw.parquet
