#!/usr/bin/env bash
# What `sextant export` and `sextant sweep --submit` write, checked as its readers would: bash, shellcheck where it is
# there, YAML against Kubernetes' schemas where python3 has jsonschema; and names that try to break out of quotes.
#   launch_test.sh path/to/sextant path/to/repository
set -uo pipefail
sextant=$1 repository=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$repository" || exit 1
failures=0
fail() { echo "FAILED: $1"; failures=$((failures + 1)); }
checkers=()

if command -v shellcheck >/dev/null; then checkers+=(shellcheck); else echo "skipped: no shellcheck"; fi
python=
for candidate in python3 /usr/bin/python3; do
  "$candidate" -c 'import jsonschema, yaml' 2>/dev/null && python=$candidate && break
done
[[ $python ]] || echo "skipped: no python3 with jsonschema and yaml (Debian: python3-jsonschema, python3-yaml)"

check_shell() {
  bash -n "$1" || fail "$1: bash does not parse it"
  ((${#checkers[@]} == 0)) || shellcheck "$1" || fail "$1: shellcheck"
}
check_yaml() {
  [[ $python ]] || return 0
  "$python" tests/cli/check_manifest.py "$@" || fail "$1: schema"
}
export_all() {  # NAME PLAN KINDS…
  local name=$1 plan=$2 format
  shift 2
  for format in vllm ray slurm nccl-env; do
    "$sextant" export "$plan" --format $format --model org/model -q -o "$scratch/$name.$format.sh" || fail "$name: $format"
    if [[ $format == nccl-env ]]; then
      bash -n "$scratch/$name.$format.sh" || fail "$name: $format"
    else
      check_shell "$scratch/$name.$format.sh"
    fi
  done
  "$sextant" export "$plan" --format kubernetes --model org/model --image engine:1 -q -o "$scratch/$name.yaml" ||
    fail "$name: kubernetes"
  check_yaml "$scratch/$name.yaml" "$@"
}

# ---- two plans: three uneven stages over two nodes; four GPUs of one node
"$sextant" plan scenarios/part1-405b.json --no-intervals -q --json "$scratch/part1.json" >/dev/null || fail "plan part1"
export_all part1 "$scratch/part1.json" Service LeaderWorkerSet
grep -q 'distributed-executor-backend ray' "$scratch/part1.vllm.sh" || fail "part1: 2 and 1 GPUs need Ray"
"$sextant" export "$scratch/part1.json" --format sglang -o "$scratch/no.sh" 2>"$scratch/err" && fail "part1: sglang accepted"
grep -q -- '--format ray' "$scratch/err" || fail "part1: sglang does not say what to do"
# 126 layers as 41/42/43 are not vLLM's 42/42/42
"$sextant" export scenarios/part1-405b.json --set 'deployment={"pp":3,"layers":[41,42,43]}' --format vllm -q -o "$scratch/uneven.sh"
grep -qx ' *export VLLM_PP_LAYER_PARTITION=41,42,43' "$scratch/uneven.sh" || fail "uneven: no partition"
"$sextant" export scenarios/part1-405b.json --set 'deployment={"pp":3,"layers":[42,42,42]}' --format vllm -q -o "$scratch/even.sh"
grep -q VLLM_PP_LAYER_PARTITION "$scratch/even.sh" && fail "even: 42/42/42 is vLLM's own split"
"$sextant" plan scenarios/h200-node-70b.json --no-intervals -q --json "$scratch/h200.json" >/dev/null || fail "plan h200"
export_all h200 "$scratch/h200.json" Service LeaderWorkerSet
"$sextant" export "$scratch/h200.json" --format sglang -q -o "$scratch/h200.sglang.sh" || fail "h200: sglang"
check_shell "$scratch/h200.sglang.sh"
grep -q 'MODEL:?' "$scratch/h200.sglang.sh" || fail "h200: a script without --model must ask for it"
# two equal nodes: vLLM's own processes, a leader and a worker
"$sextant" export scenarios/part1-405b.json --set 'cluster.nodes[0].gpus={"rtx-pro-6000-workstation":2}' \
  --set 'cluster.nodes[1].gpus={"rtx-pro-6000-workstation":2}' --set 'deployment={"tp":2,"pp":2}' --format vllm -q \
  -o "$scratch/equal.sh" || fail "equal nodes"
grep -q -- '--nnodes 2 --node-rank 1' "$scratch/equal.sh" || fail "equal nodes: no rank"
check_shell "$scratch/equal.sh"

# ---- names that try to break out of quotes, comments, YAML and JSON
owned=owned-by-a-name-$$
nasty=$'a"b\'c`d$(touch '"$owned"$')\n- e: "f"\n# g\n; touch '"$owned"$' #\t\e[31m'
command -v python3 >/dev/null && python=${python:-python3}
hostile=$scratch/hostile.json
if [[ $python ]]; then
  "$python" - "$nasty" "$hostile" <<'EOF'
import json, sys
scenario = json.loads("\n".join(l for l in open("scenarios/part1-405b.json") if not l.strip().startswith("//")))
scenario["name"] = sys.argv[1]
for i, node in enumerate(scenario["cluster"]["nodes"]):
    node["name"] = sys.argv[1] + str(i)
scenario["deployment"] = {"pp": 3}
scenario.pop("variants")
json.dump(scenario, open(sys.argv[2], "w"))
EOF
  for format in vllm ray slurm nccl-env; do
    "$sextant" export "$hostile" --format $format --model "$nasty" -q -o "$scratch/hostile.$format.sh" || fail "hostile: $format"
    [[ $format == nccl-env ]] || check_shell "$scratch/hostile.$format.sh"
    LC_ALL=C grep -q $'\e' "$scratch/hostile.$format.sh" && fail "hostile: $format holds an escape sequence"
  done
  # run it with engines that only print their words: node and model arrive unchanged
  mkdir "$scratch/bin"
  for program in vllm ray; do
    printf '#!/bin/sh\nprintf "%%s|" "$@" >>%s/words\necho \\"node_id\\" \\"node_id\\"\n' "$scratch" >"$scratch/bin/$program"
    chmod +x "$scratch/bin/$program"
  done
  sed -i 's/^export NCCL_\([A-Z_]*\)="\${[^}]*}"/export NCCL_\1=x/; s/>= 2/>= 1/' "$scratch/hostile.vllm.sh"
  PATH=$scratch/bin:$PATH timeout 20 bash "$scratch/hostile.vllm.sh" "${nasty}0" localhost >/dev/null 2>"$scratch/err" ||
    fail "hostile: the script does not run: $(cat "$scratch/err")"
  grep -qF 'serve|a"b' "$scratch/words" || fail "hostile: vllm did not get the model"
  [[ $(cat "$scratch/words") == *"$nasty"* ]] || fail "hostile: the model's name was changed"
  "$sextant" export "$hostile" --format kubernetes --model "$nasty" --image "$nasty" -q -o "$scratch/hostile.yaml" || fail "hostile: kubernetes"
  check_yaml "$scratch/hostile.yaml" Service LeaderWorkerSet
  "$sextant" sweep "$hostile" --axis "model.weights=awq-int4,\"$(printf %s "$nasty" | tr -d '"\n\t\033')\"" \
    --rows "$scratch/$nasty" --submit slurm --shards 2 >/dev/null || fail "hostile: sweep for slurm"
  for script in array.sbatch merge.sbatch submit.sh; do check_shell "$scratch/$nasty/$script"; done
  "$sextant" sweep "$hostile" --axis workload.seed=1,2 --rows "$scratch/$nasty" --submit kubernetes --shards 2 \
    --image "$nasty" --claim rows >/dev/null || fail "hostile: sweep for kubernetes"
  check_yaml "$scratch/$nasty/sweep.yaml" ConfigMap Job Job
fi
[[ ! -e $owned && ! -e $scratch/$nasty/$owned ]] || fail "a name was executed"

# ---- no secret of the environment comes along
HF_TOKEN=hf_do_not_export "$sextant" export "$scratch/h200.json" --format kubernetes --model m --image i -q | grep -q hf_do_not && fail "a token was exported"

# ---- bad input
refuses() {  # WORDS WHAT…: `sextant export WHAT` is refused with these words
  local words=$1
  shift
  "$sextant" export "$@" >/dev/null 2>"$scratch/err" && fail "$*: accepted"
  grep -qF -- "$words" "$scratch/err" || fail "$*: stderr lacks '$words'"
}
refuses "did you mean 'vllm'" "$scratch/h200.json" --format vlm
refuses "expected at most" "$scratch/h200.json" --format vllm --candidate 999
refuses "expected --model" "$scratch/h200.json" --format kubernetes
echo '{"format": "sextant metrics", "version": 1}' >"$scratch/metrics.json"
refuses 'expected "sextant plan"' "$scratch/metrics.json" --format vllm
if ((failures)); then echo "$failures failed"; exit 1; fi
echo "launch_test: all passed"
