# Environment of pilot jobs; source it in your own shell as well.
export PATH=<environment>/bin:$PATH

# This folder, for `nextrung`, jobflow and FireWorks.
export NEXTRUNG_CONFIG=<config>
export JOBFLOW_CONFIG_FILE=$NEXTRUNG_CONFIG/jobflow.yaml
export FW_CONFIG_FILE=$NEXTRUNG_CONFIG/FW_config.yaml

# Artifacts and unfinished work, on a file system that all nodes share.
export NEXTRUNG_ROOT=<root>
# What studies call $NEXTRUNG_DATA: data sets.
export NEXTRUNG_DATA=<data>

# One BLAS thread per process: more of them slow small matrices down, and each other.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
# srun does not hand on the cores of its job by itself (Slurm 22.05 and later).
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
