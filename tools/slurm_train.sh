#!/usr/bin/env bash
# Train on a Slurm cluster, with one torchrun per node:
#   [NODES=1] [GPUS_PER_NODE=8] [CPUS_PER_TASK=5] [SRUN_ARGS=...] \
#   tools/slurm_train.sh PARTITION JOB_NAME CONFIG [flags of train.py]
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,4p' "$0" >&2; exit 2; }

GPUS_PER_NODE=${GPUS_PER_NODE:-8}
# shellcheck disable=SC2016  # expanded on the nodes
srun --partition="$1" --job-name="$2" ${SRUN_ARGS:-} \
    --nodes="${NODES:-1}" --ntasks-per-node=1 --gres="gpu:$GPUS_PER_NODE" \
    --cpus-per-task="$((GPUS_PER_NODE * ${CPUS_PER_TASK:-5}))" --kill-on-bad-exit=1 \
    bash -c '
        export NNODES=$SLURM_NNODES NODE_RANK=$SLURM_NODEID
        MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
        export MASTER_ADDR PORT=$((20000 + SLURM_JOB_ID % 10000))
        exec "$0" "$@"
    ' "$(dirname "$0")/dist_train.sh" "$3" "$GPUS_PER_NODE" "${@:4}"
