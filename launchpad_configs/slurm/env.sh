# Environment of pilot jobs; source it in your own shell as well.
export PATH=<environment>/bin:$PATH

# This folder, for `nextrung`, jobflow and FireWorks.
export NEXTRUNG_CONFIG=<config>
export JOBFLOW_CONFIG_FILE=$NEXTRUNG_CONFIG/jobflow.yaml
export FW_CONFIG_FILE=$NEXTRUNG_CONFIG/FW_config.yaml

# Artifacts and unfinished work, on a file system shared by all nodes.
export NEXTRUNG_ROOT=<root>
# Data sets; studies refer to them by $NEXTRUNG_DATA.
export NEXTRUNG_DATA=<data>

# Compiled code of numba, shared by workers: `nextrung doctor --warm` fills it, once per type of
# processor, so that the first hull of a worker takes no minute.
export NUMBA_CACHE_DIR=<root>/numba

# One BLAS thread per process: more threads slow small matrices and other processes down.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
# Relaxations on GPUs: large jobs, at least one per GPU, and several processes keep each GPU full.
# export NEXTRUNG_MATERIALS_PER_SHARD=20000 NEXTRUNG_PROCESSES_PER_GPU=3
# Since Slurm 22.05, srun does not inherit --cpus-per-task from the job.
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
