# Environment of workers and of your own shell: source it in both.
export PATH=<environment>/bin:$PATH

# This folder, for `nextrung`, jobflow and FireWorks.
export NEXTRUNG_CONFIG=<config>
export JOBFLOW_CONFIG_FILE=$NEXTRUNG_CONFIG/jobflow.yaml
export FW_CONFIG_FILE=$NEXTRUNG_CONFIG/FW_config.yaml

# Artifacts and unfinished work.
export NEXTRUNG_ROOT=<root>
# What studies call $NEXTRUNG_DATA: data sets.
export NEXTRUNG_DATA=<data>

# One BLAS thread per process: more of them slow small matrices down, and each other.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
