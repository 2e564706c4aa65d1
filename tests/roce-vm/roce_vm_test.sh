#!/usr/bin/env bash
# sextant-measure rdma on a real RDMA stack: faults with their reasons, and agreement with perftest, in one boot.
# Usage: roce_vm_test.sh SEXTANT_MEASURE SEXTANT_MEASURE_RDMA STAND_IN_LIBCUDA
set -euo pipefail
here=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)
[[ -x ${2:-} ]] || { echo "skipped: sextant-measure-rdma is not built (libibverbs-dev)"; exit 77; }
exec "$here/roce-vm" -t "${SEXTANT_ROCE_VM_SECONDS:-400}" -p "$1" -p "$2" -f "$3" \
  -f "$here/guest/lib.sh" -f "$here/guest/faults.sh" -f "$here/guest/agree.sh" -f "$here/guest/fabric.sh" -f "$here/guest/all.sh" -- sh all.sh
