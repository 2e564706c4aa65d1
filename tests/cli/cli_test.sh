#!/usr/bin/env bash
# The sextant binary from outside: help, errors, exit codes, Ctrl-C. Needs bash, grep and sed only.
#   cli_test.sh path/to/sextant path/to/repository
set -u
sextant=$1
repository=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$repository" || exit 1
failures=0

fail() {
  echo "FAILED: $1"
  sed 's/^/  stdout: /' "$scratch/out" | sed -n 1,5p
  sed 's/^/  stderr: /' "$scratch/err" | sed -n 1,5p
  failures=$((failures + 1))
}

# expect CODE WORDS...: runs sextant; its output is in $scratch/out and $scratch/err.
expect() {
  local code=$1
  shift
  "$sextant" "$@" >"$scratch/out" 2>"$scratch/err"
  local got=$?
  [ "$got" = "$code" ] || fail "sextant $*: exit code $got, expected $code"
}
says() { grep -qF -- "$1" "$scratch/out" || fail "stdout lacks '$1'"; }
# One line on stderr, which contains the words; nothing on stdout.
complains() {
  [ "$(grep -c '' "$scratch/err")" = 1 ] || fail "expected one line on stderr"
  grep -qF -- "$1" "$scratch/err" || fail "stderr lacks '$1'"
  [ ! -s "$scratch/out" ] || fail "expected nothing on stdout"
}
quiet() { [ ! -s "$scratch/err" ] || fail "expected nothing on stderr"; }
# A JSON document: starts with a brace and, where it can be checked, parses.
is_json() {
  sed -n 1p "$scratch/out" | grep -q '^{' || fail "stdout is no JSON object"
  sed -n '$p' "$scratch/out" | grep -q '^}' || fail "stdout is no complete JSON object"
  if command -v python3 >/dev/null; then
    python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$scratch/out" 2>/dev/null || fail "stdout is no valid JSON"
  fi
}

# ---- help
expect 0
says "Commands:"
expect 0 --help
says "plan"
expect 0 help
says "catalog"
expect 0 --version
says "sextant "
for command in plan simulate whatif catalog validate doctor sweep export report; do
  expect 0 "$command" --help
  says "  sextant $command "
  quiet
  cp "$scratch/out" "$scratch/help"
  expect 0 help "$command"
  [ "$(cat "$scratch/help")" = "$(cat "$scratch/out")" ] || fail "help $command differs from $command --help"
done
for command in plan simulate; do
  expect 0 "$command" --help
  says "(E2EL - TTFT) / (output tokens - 1)"
done

# ---- the examples in catalog's help work as they stand
expect 0 catalog --help
sed -n 's/^  sextant \(catalog .*\)/\1/p' "$scratch/out" >"$scratch/examples"
[ -s "$scratch/examples" ] || fail "catalog --help has no example"
while read -r -a words; do
  expect 0 "${words[@]}"
  [ -s "$scratch/out" ] || fail "sextant ${words[*]}: printed nothing"
  quiet
done <"$scratch/examples"

# ---- catalog
for kind in models gpus nics switches nodes profiles; do
  expect 0 catalog "$kind"
  [ "$(grep -c '' "$scratch/out")" -ge 3 ] || fail "catalog $kind lists nothing"
done
expect 0 catalog gpus rtx-pro-6000-server
says "source:"
expect 2 catalog gpus rtx-pro-6000-serve
complains "rtx-pro-6000-server"
expect 2 catalog gpu
complains "did you mean 'gpus'"
expect 0 catalog collective --ranks 8 --nodes 2 --intra nvlink4 --inter ib-400 --bytes 16K,64M
says "8 ranks on 2 nodes"
says "64 MiB"
says "chosen"
expect 2 catalog collective --ranks 4 --intra nvlink44
complains "nvlink4"
expect 2 catalog collective --intra nvlink4
complains "expected --ranks"
expect 2 catalog collective --ranks 4 --intra nvlink4 --bytes 8Q
complains "found '8Q'"
expect 2 catalog gpus --ranks 4
complains "expected it with catalog collective"
expect 0 catalog scenarios/part1-405b.json
says "node-a/gpu0"
expect 0 catalog scenarios/part1-405b.json --dot
says "graph"
expect 0 catalog scenarios/part1-405b.json --json
is_json

# ---- doctor: the first example of its help, a clean log, this machine, a folder without anything, bad input
logs=tests/calibrate/doctor/logs
expect 4 doctor scenarios/part1-405b.json --nccl-log $logs/half-rate.txt --set workload.num_prompts=8
says "200 Gbit/s (the scenario's connectx-7-200)"
says "cluster.nodes[*].nic=connectx-5-100"
quiet
expect 4 doctor --nccl-log $logs/p2p-disabled.txt --json -
is_json
expect 0 doctor --nccl-log $logs/nvlink-p2p.txt
says "0 wrong, 0 doubtful"
mkdir -p "$scratch/empty"
expect 0 doctor --root "$scratch/empty"
says "could not check: RDMA"
expect 2 doctor --root "$scratch/out"
complains "found no folder"
expect 2 doctor --nccl-log README.md
complains "found no line of NCCL's"
expect 2 doctor --ibstat no-such-file
complains "no-such-file"
expect 2 doctor --nccl-logs x
complains "did you mean '--nccl-log'"
expect 2 doctor --rate-gbps -3 --nccl-log $logs/nvlink-p2p.txt
complains "--rate-gbps"
# ---- sweep: size, one path once, misspelt keys, shards
grid=(sweep scenarios/h200-node-70b.json --set 'deployment={"tp":4}' --set workload.num_prompts=10)
expect 2 "${grid[@]}" --axis workload.seed=1..1000000 --axis workload.request_rate=1..1000
complains "1,000,000,000 points"
complains "--yes"
expect 2 "${grid[@]}" --axis workload.seed=1,2 --axis workload.seed=3
complains "another axis on the same path"
expect 2 "${grid[@]}" --axis workload.sed=1,2
complains "did you mean 'seed'"
expect 2 "${grid[@]}"
complains "found no axis"
expect 2 "${grid[@]}" --axis workload.seed=1..9 --shard 4/3
complains "expected K/N"
expect 2 "${grid[@]}" --axis workload.seed=1..9 --shard 1/3
complains "--rows"
expect 2 "${grid[@]}" --axis workload.seed=1..9 --shard auto --rows "$scratch/rows"
complains "SLURM_ARRAY_TASK_ID"
expect 0 "${grid[@]}" --axis workload.seed=1..9 --json -
is_json
cp "$scratch/out" "$scratch/threads.json"
for task in 0 1 2; do
  SLURM_ARRAY_TASK_ID=$task SLURM_ARRAY_TASK_COUNT=3 expect 0 "${grid[@]}" --axis workload.seed=1..9 --rows "$scratch/rows" -q
  if [ "$task" = 1 ]; then
    expect 1 sweep --merge --rows "$scratch/rows"
    complains "3 of 9 points are missing"
  fi
done
expect 0 sweep --merge --rows "$scratch/rows" --json -
cmp -s "$scratch/out" "$scratch/threads.json" || fail "three shards differ from threads"
JOB_COMPLETION_INDEX=1 JOB_COMPLETIONS=2 expect 0 "${grid[@]}" --axis workload.seed=1..8 --rows "$scratch/rows" -q
expect 2 sweep --merge --rows "$scratch/rows"
complains "different grids, which differ in axes[0].values"

# ---- uplink, and a machine's topology as NCCL dumps it
expect 0 uplink scenarios/part1-405b.json --set 'uplink={"management_gbits":25,"within_seconds":60}'
says "a port of 40 Gbit/s"
quiet
expect 0 uplink scenarios/part1-405b.json --set 'uplink={"management_gbits":25}' --json -
is_json
expect 2 uplink scenarios/part1-405b.json
complains "no key 'uplink'"
expect 2 uplink scenarios/part1-405b.json --set 'uplink={"management_gbits":0}'
complains "uplink.management_gbits"
cat >"$scratch/machine.xml" <<'XML'
<system version="1"><cpu numaid="0" vendor="AuthenticAMD"><pci busid="0000:01:00.0" class="0x030200" link_speed="32.0 GT/s PCIe"
 link_width="8"><gpu dev="0" sm="120"/></pci></cpu></system>
XML
expect 0 catalog "$scratch/machine.xml" --gpu rtx-pro-6000-server --dot
says "pcie 31.5 GB/s"
expect 2 catalog "$scratch/machine.xml" --gpu rtx-pro-6000
complains "rtx-pro-6000"
expect 2 catalog "$scratch/machine.xml" --nic connectx-7-400
complains "--gpu"

# ---- bad usage: exit code 2, one line that names what is nearest
expect 2 plna
complains "did you mean 'plan'"
expect 2 plan
complains "found no scenario"
expect 2 plan scenarios/part1-405b.json --thread 2
complains "did you mean '--threads'"
expect 2 plan scenarios/part1-405b.json --threads -1
complains "--threads"
expect 2 plan scenarios/part1-405b.json --threads two
complains "found 'two'"
expect 2 plan scenarios/part1-405b.json scenarios/part1-405b.json
complains "expected one scenario"
expect 2 plan scenarios/part1-405b.json --json - --csv -
complains "one of them on stdout"
expect 2 plan "$scratch/missing.json"
complains "missing.json: no such file"
expect 2 plan "$scratch"
complains "directory"
expect 2 plan scenarios/part1-405b.json --json "$scratch/no/such/plan.json"
complains "no directory"
expect 2 plan scenarios/part1-405b.json --json /dev/null
complains "found a device"
[ -c /dev/null ] || fail "/dev/null is no device any more"
expect 2 plan scenarios/part1-405b.json --set workload.max_concurrency
complains "PATH=VALUE"

# ---- bad scenarios: the nearest key, and no output file
sed 's/"max_num_seqs": 96/"max_num_seq": 96/' scenarios/part1-405b.json >"$scratch/misspelt.json"
expect 2 plan "$scratch/misspelt.json" --json "$scratch/plan.json"
complains "'max_num_seq'"
complains "did you mean 'max_num_seqs'"
for file in "$scratch"/plan.json*; do [ ! -e "$file" ] || fail "$file exists after an error"; done
expect 2 plan scenarios/part1-405b.json --set engine.max_num_seq=4
complains "max_num_seqs"
printf '{"name": "cut' >"$scratch/cut.json"
expect 2 plan "$scratch/cut.json"
complains "cut.json"
printf '{"name": "a\\u001b[2J", "cluster": 1, "x\\u001b[2Jy": 2}' >"$scratch/hostile.json"
expect 2 plan "$scratch/hostile.json"
if grep -q "$(printf '\033')" "$scratch/err"; then fail "an escape sequence reached stderr"; fi
expect 2 simulate scenarios/part1-405b.json
complains "sextant plan"

# ---- results: JSON on stdout and nothing beside it; files whole
fixed=(--set 'deployment={"tp":1,"pp":3}' --set workload.num_prompts=8 --set workload.max_concurrency=4)
# Both pools of replicas are watched.
expect 0 simulate scenarios/disaggregated-70b.json --set workload.num_prompts=40 --quiet --json -
says "\"stage_busy\""
quiet
expect 0 simulate scenarios/part1-405b.json "${fixed[@]}"
says "Output token throughput (tok/s):"
says "fingerprint"
quiet
cp "$scratch/out" "$scratch/plain"
expect 0 simulate scenarios/part1-405b.json "${fixed[@]}" --percentile-metrics ttft --metric-percentiles 50,99.9
says 'P99.9 TTFT'
expect 2 simulate scenarios/part1-405b.json "${fixed[@]}" --percentile-metrics ttft,tpt
complains "found 'tpt', expected some of ttft,tpot,itl,e2el"
expect 2 simulate scenarios/part1-405b.json "${fixed[@]}" --metric-percentiles 50,101
complains "found '101', expected numbers from 0 to 100"
expect 0 simulate scenarios/part1-405b.json "${fixed[@]}" --step-by-step
[ "$(cat "$scratch/plain")" = "$(cat "$scratch/out")" ] || fail "--step-by-step gives other results"
expect 0 simulate scenarios/part1-405b.json "${fixed[@]}" --replications 3
says "Over 3 replications"
expect 0 simulate scenarios/part1-405b.json "${fixed[@]}" --trace -
is_json
says '"name":"stage 2"'
expect 0 simulate scenarios/part1-405b.json "${fixed[@]}" --requests -
says "request,replica,status,arrival_s"
expect 0 simulate scenarios/part1-405b.json "${fixed[@]}" --trace "$scratch/trace.json" --trace-events 50
grep -q "note: the timeline ends at" "$scratch/err" || fail "no note that the timeline is cut"
[ "$(grep -c '"ph":"[^M]"' "$scratch/trace.json")" -lt 200 ] || fail "the timeline is not cut"
expect 2 simulate scenarios/part1-405b.json "${fixed[@]}" --trace - --replications 2
complains "--trace: found 2 replications, expected one"
expect 2 simulate scenarios/part1-405b.json "${fixed[@]}" --trace - --json -
complains "expected one of them on stdout"
expect 2 simulate scenarios/part1-405b.json "${fixed[@]}" --trace-events 5
complains "--trace-events: found no --trace"
expect 0 simulate scenarios/part1-405b.json "${fixed[@]}" --json -
is_json
says '"sextant metrics"'
quiet
expect 0 plan scenarios/part1-405b.json "${fixed[@]}" --set 'variants=[]' --no-intervals --json -
is_json
says '"sextant plan"'
quiet
expect 0 plan scenarios/part1-405b.json "${fixed[@]}" --set 'variants=[]' --no-intervals \
  --json "$scratch/plan.json" --csv "$scratch/plan.csv"
says "Answer"
grep -q '"format": "sextant plan"' "$scratch/plan.json" || fail "plan.json lacks its format"
[ "$(grep -c '' "$scratch/plan.csv")" = 2 ] || fail "plan.csv: expected a header and one row"
if grep -q "$(printf '\033')" "$scratch/out"; then fail "colours went into a file"; fi
expect 3 plan scenarios/part1-405b.json --set 'deployment={"tp":1,"pp":1}' --set 'variants=[]'
complains "no layout fits"

# ---- what to buy: a missing price and a budget too small, each one line
expect 2 plan scenarios/buy-405b.json --set 'cluster.choose-from[5].price=null'
complains "cluster.choose-from[5].price: missing"
expect 2 plan scenarios/buy-405b.json --set cluster.budget.wats=1
complains "did you mean 'watts'"
expect 2 simulate scenarios/buy-405b.json
complains "a purchase is planned by 'sextant plan' alone"
expect 3 plan scenarios/buy-405b.json --set cluster.budget.usd=20000
complains "the smallest purchase that holds every model costs"

# ---- several models on one cluster: divided by plan, refused with one line elsewhere
small=(--set 'models[0].workload.request_rate=1' --set 'models[0].workload.num_prompts=20' --set 'models[1].workload.num_prompts=20' --set 'cluster.nodes[0].count=1')
expect 0 plan scenarios/mix-70b-30b.json "${small[@]}" --no-intervals --json "$scratch/mix.json" --csv "$scratch/mix.csv" \
  --html "$scratch/mix.html" --markdown "$scratch/mix.md"
says "load can"
grep -q '"format": "sextant mix"' "$scratch/mix.json" || fail "mix.json lacks its format"
grep -q "All loads can grow" "$scratch/mix.md" || fail "mix.md lacks its answer"
grep -q "division_factor" "$scratch/mix.csv" || fail "mix.csv lacks its header"
expect 0 export "$scratch/mix.json" --format vllm --of qwen3-30b-a3b
says "vllm serve"
expect 2 export "$scratch/mix.json" --format vllm
complains "expected --of llama-3.1-70b, qwen3-30b-a3b"
expect 0 report "$scratch/mix.json"
expect 0 report "$scratch/mix.json" "$scratch/mix.json"
expect 2 simulate scenarios/mix-70b-30b.json
complains "a mix of models is planned by 'sextant plan' alone"
for page in mix-70b-30b buy-405b; do
  expect 2 whatif scenarios/$page.json --set workload.seed=2
  complains "run 'sextant plan scenarios/$page.json --set PATH=VALUE' once for each variant"
  expect 2 sweep scenarios/$page.json --axis workload.seed=1,2
  complains "run 'sextant plan scenarios/$page.json --set PATH=VALUE' once for each point"
done
expect 2 export scenarios/mix-70b-30b.json --format vllm
complains "then 'sextant export plan.json --of MODEL'"
expect 2 plan scenarios/mix-70b-30b.json --set 'models=[]'
complains "expected at least two"
expect 2 plan scenarios/mix-70b-30b.json --set 'models[1].name=llama-3.1-70b'
complains "twice"
expect 3 plan scenarios/mix-70b-30b.json --set 'models[1].name=llama-3.1-405b' --set 'cluster.nodes[0].count=1'
complains "no layout fits, even with the whole cluster"

# ---- validate: a table, a row per value, bounds as exit codes
expect 0 validate tests/validation/links.jsonl
says "collective"
says "rtx-pro-6000-workstation"
says "Not predicted"
quiet
expect 0 validate tests/validation/links.jsonl --fail-above collective:rtx-pro-6000-workstation:median=60 --csv -
says "file,line,kind,gpu,part,shape,quantity,measured,predicted"
quiet
expect 0 validate tests/validation/links.jsonl --json -
is_json
says '"sextant validation"'
quiet
"$sextant" validate tests/validation/links.jsonl --fail-above collective:median=1 >"$scratch/out" 2>"$scratch/err"
[ $? = 4 ] || fail "validate: a missed bound does not exit with 4"
says "missed collective:median=1"
grep -qF "errors above their bounds: collective:median=1" "$scratch/err" || fail "validate: stderr does not name the bound"
expect 4 validate tests/validation/links.jsonl --fail-above gemm:median=1 --json "$scratch/validation.json"
grep -qF "no value of it was predicted" "$scratch/err" || fail "validate: a bound without values is silent"
[ -s "$scratch/validation.json" ] || fail "validate: a missed bound left no result"
expect 2 validate
complains "expected sextant validate FILE"
expect 2 validate tests/validation/links.jsonl --fail-above gemm
complains "expected KIND[/PART][:GPU]:STATISTIC=PERCENT"
expect 2 validate tests/validation/links.jsonl --fail-above gem:median=1
complains "did you mean 'gemm'"
expect 2 validate "$scratch/missing.jsonl"
complains "missing.jsonl"
: >"$scratch/empty.jsonl"
expect 2 validate "$scratch/empty.jsonl"
complains "found no rows to predict, expected at least one"
printf '{"kind": "gemm", "gpu": "h100-sxm"}\n' >"$scratch/bad.jsonl"
expect 2 validate "$scratch/bad.jsonl"
complains "bad.jsonl:1"
expect 2 validate tests/validation/links.jsonl --profile calibrate/profiles/gpu.l40s.json
complains "expected rows of that GPU and found none"
expect 2 validate tests/validation/links.jsonl --profile calibrate/profiles/link.roce-200.json
complains "link.roce-200.json"
expect 2 validate tests/validation/links.jsonl --json - --csv -
complains "expected one of them on stdout"

# ---- pages, Markdown and saved results
expect 0 plan scenarios/part1-405b.json "${fixed[@]}" --set 'variants=[]' --no-intervals --html "$scratch/plan.html" --markdown -
says "## Plan: part1-405b"
says "sextant plan scenarios/part1-405b.json --no-intervals --set"
grep -q 'id="result"' "$scratch/plan.html" || fail "plan.html holds no result"
[ "$(wc -c <"$scratch/plan.html")" -lt 1500000 ] || fail "plan.html is too large"
expect 0 simulate scenarios/part1-405b.json "${fixed[@]}" --html -
says '"bin_s":'
quiet
expect 0 report "$scratch/plan.json"
says "## Plan: part1-405b"
quiet
expect 0 report "$scratch/plan.json" --csv -
cmp -s "$scratch/out" "$scratch/plan.csv" || fail "report --csv differs from plan --csv"
expect 0 report "$scratch/plan.json" "$scratch/plan.json"
says "0 outside them"
expect 0 report "$scratch/plan.json" "$scratch/plan.json" --json - 
is_json
expect 2 report
complains "expected one result, or two to compare"
expect 2 report "$scratch/missing.json"
complains "missing.json"
expect 2 report scenarios/part1-405b.json
complains "part1-405b.json"
expect 2 report "$scratch/plan.json" "$scratch/validation.json"
complains 'expected a "sextant plan"'
expect 2 report "$scratch/plan.json" --html - --markdown -
complains "expected one of them on stdout"
expect 2 plan scenarios/part1-405b.json --html "$scratch/no/such/plan.html"
complains "no directory"
# ---- import: rows on stdout, what became of them on stderr; nothing on stdout if it fails
fixtures=tests/fixtures/import
expect 0 import perftest $fixtures/perftest-send-bw.txt --rate-gbps 100
says '"gbps":97.846820864'
grep -qF "1 of 1 rows passed on: 1 rdma" "$scratch/err" || fail "stderr lacks the number of rows"
expect 0 import nccl-log $fixtures/nccl-log-gdr.txt
says '"gdr":true'
expect 2 import perftest $fixtures/perftest-gb10.txt --rate-gbps 50
complains "found 111.71 Gbit/s on a port of 50 Gbit/s"
expect 2 import nccl-tests $fixtures/nccl-tests-with-log.txt $fixtures/nccl-log-gdr.txt --gpu rtx-pro-6000-server --link ib
complains "found no header"
expect 2 import nccl-test $fixtures/nccl-tests.json
complains "did you mean 'nccl-tests'"

# ---- what if
expect 0 whatif scenarios/part3-400g.json --no-intervals --set 'cluster.nodes[*].nic=connectx-7-400' \
  --variant "a card lost" --set 'cluster.lost=["node-a/gpu1"]'
says "hop 1 -> 2"
says "cannot be: scenarios/part3-400g.json: deployment: found 2 GPUs in the cluster"
grep -q "^  a card lost .*cannot be" "$scratch/out" || fail "the row of what cannot be lacks its name"
expect 2 whatif scenarios/part3-400g.json --set 'cluster.lost=["node-x/gpu9"]'
complains "found no device 'node-x/gpu9' in the cluster, expected one of node-a/gpu0"
expect 2 whatif scenarios/part3-400g.json --base workload.sed=1 --set workload.seed=2
complains "found the unknown key 'sed', did you mean 'seed'"
expect 0 whatif scenarios/part3-400g.json --no-intervals --set cluster.network.mtu=1500 --csv -
says "variant,changes,layout"
expect 0 whatif scenarios/part3-400g.json --no-intervals --set cluster.network.mtu=1500 --json -
says '"format": "sextant whatif"'
expect 0 whatif scenarios/part3-400g.json --no-intervals --set cluster.network.mtu=1500 --json "$scratch/whatif.json" --html "$scratch/whatif.html" --markdown -
says "## What if: part3-400g"
says "sextant whatif scenarios/part3-400g.json --no-intervals --set cluster.network.mtu=1500"
grep -q 'id="result"' "$scratch/whatif.html" || fail "whatif.html holds no result"
expect 0 report "$scratch/whatif.json"
says "### Stage by stage"
expect 0 report "$scratch/whatif.json" "$scratch/whatif.json"
says "Figures that differ"
expect 2 report "$scratch/whatif.json" --csv -
complains "its command has --csv"
expect 2 whatif scenarios/part3-400g.json --htm x
complains "did you mean '--html'"
expect 2 whatif scenarios/part3-400g.json --variant alone
complains "found no --set after it"
expect 2 whatif scenarios/part3-400g.json --set 'cluster.lost=["node-z/gpu0"]'
complains "did you mean 'node-a/gpu0'"
expect 3 whatif scenarios/part3-400g.json --base model.weights=bf16 --set workload.seed=2
complains "no layout fits"

# The examples of its help, as they stand there.
"$sextant" whatif --help | sed -n '/^Examples/,/^Exit codes/p' | sed '1d;$d' >"$scratch/examples"
[ "$(grep -c 'sextant whatif' "$scratch/examples")" -ge 2 ] || fail "whatif --help has fewer than two examples"
sed -e "s#^ *sextant whatif#\"$sextant\" whatif --no-intervals --no-search -q#" "$scratch/examples" >"$scratch/examples.sh"
bash -e "$scratch/examples.sh" >"$scratch/out" 2>"$scratch/err" || fail "an example of whatif --help does not run"
quiet
for name in 'one more NIC' 'half speed for 60 s' 'a noisy neighbour' 'and PFC pauses' 'one spine of two lost' 'a switch gone'; do
  says "$name"
done

# Fabrics that cannot be: named, exit 2.
expect 2 simulate scenarios/part3-400g.json --set 'cluster.lost=["node-b/nic0"]'
complains 'no way from node-a/gpu0 to node-b/gpu0'
expect 2 simulate scenarios/part3-400g.json --set 'cluster.network={"switch":"mikrotik-crs812-ddq"}' --set 'cluster.lost=["switch"]'
complains 'no way from node-a/gpu0 to node-b/gpu0'
expect 2 simulate scenarios/part3-400g.json \
  --set 'cluster.nodes[1]={"node":"workstation","gpus":{"rtx-pro-6000-workstation":1}}'
complains "cluster.nodes[1]: found no nic, expected 'nic' or 'nics' in each of 2 nodes"
expect 2 simulate scenarios/part3-400g.json --set 'cluster.nodes[0].nic={"nic":"connectx-7-200","port_gbits":0}'
complains 'cluster.nodes[0].nic.port_gbits: found 0'
expect 2 simulate scenarios/part3-400g.json \
  --set 'cluster.network={"leaf_spine":{"nodes_per_leaf":1,"spines":1,"uplink_gbits":0}}'
complains 'uplink_gbits: found 0'
expect 2 simulate scenarios/part3-400g.json --set 'cluster.nodes[1].name=node-a'
complains 'found two nodes named "node-a"'
expect 2 simulate scenarios/part3-400g.json --set cluster.network.congestion=dcqcn
complains "cluster.network.congestion: found 'dcqcn', expected none, pfc or ecn"
expect 2 simulate scenarios/part3-400g.json --set 'cluster.network={"transport":"ib","congestion":"pfc"}'
complains "found 'pfc' over ib, expected none"

# ---- Ctrl-C ends a long run with 130 within a second
"$sextant" simulate scenarios/part1-405b.json --set 'deployment={"tp":1,"pp":3}' --set workload.num_prompts=100000000 \
  --step-by-step --json "$scratch/long.json" >"$scratch/out" 2>"$scratch/err" &
run=$!
sleep 1
kill -INT "$run" 2>/dev/null
( trap - EXIT; sleep 1; kill -KILL "$run" 2>/dev/null ) &
watchdog=$!
wait "$run"
code=$?
kill "$watchdog" 2>/dev/null
[ "$code" = 130 ] || fail "Ctrl-C: exit code $code, expected 130 (137: it did not end within a second)"
complains "interrupted"
[ ! -e "$scratch/long.json" ] || fail "an interrupted run left a file"

# ---- what is read is never written over, no file is written twice, and a pipe is read once
cp scenarios/h200-node-8.json "$scratch/mine.json"
ln -s mine.json "$scratch/link.json"
for output in --json --csv --html --markdown; do
  expect 2 plan "$scratch/mine.json" -q $output "$scratch/link.json"
  complains "expected another file than what is read"
done
cmp -s scenarios/h200-node-8.json "$scratch/mine.json" || fail "a scenario was written over"
expect 2 plan "$scratch/mine.json" -q --json "$scratch/one" --csv "$scratch/one"
complains "--csv $scratch/one, expected another file than --json"
expect 2 fit "$scratch/mine.json" --gpu h200-sxm -o "$scratch/mine.json"
complains "expected another file than what is read"
expect 2 doctor --nccl-log "$scratch/mine.json" --json "$scratch/link.json"
complains "expected another file than what --nccl-log reads"
expect 2 import bench tests/fixtures/import/iperf3.json --scenario "$scratch/mine.json" -o "$scratch/mine.json"
complains "expected another file than what --scenario reads"
expect 2 validate tests/validation/links.jsonl --profile "$scratch/mine.json" --csv "$scratch/mine.json"
complains "expected another file than what --profile reads"
printf '{"timestamp": 0, "input_length": 100, "output_length": 5}\n' >"$scratch/trace.jsonl"
named="workload={\"trace\":{\"path\":\"trace.jsonl\",\"format\":\"mooncake\"}}"
expect 2 simulate "$scratch/mine.json" --set "$named" --requests "$scratch/trace.jsonl"
complains "expected another file than trace.jsonl, which the scenario reads"
expect 2 sweep "$scratch/mine.json" --axis 'model.name="./config.json","./other.json"' --csv "$scratch/other.json"
complains "expected another file than ./other.json, which the scenario reads"
expect 2 whatif "$scratch/mine.json" --set model.name=./config.json --json "$scratch/config.json"
complains "expected another file than ./config.json, which the scenario reads"
cmp -s scenarios/h200-node-8.json "$scratch/mine.json" || fail "a file that an option reads was written over"
"$sextant" plan <(cat scenarios/h200-node-8.json) -q --no-intervals --set workload.num_prompts=20 >"$scratch/out" 2>"$scratch/err" ||
  fail "a scenario from a pipe"
says "Answer"
: >"$scratch/empty.json"
expect 2 plan "$scratch/empty.json"
complains "empty.json: found nothing in it, expected json"
expect 2 catalog scenarios/buy-405b.json
complains "found 'choose-from', expected 'nodes'"
expect 2 plan scenarios/part1-405b.json --set 'slo={"p99_ttft":"<=2000"}'
complains "did you mean 'p99_ttft_ms'"
expect 2 plan scenarios/part1-405b.json --set 'slo={"p99_ttft_ms":2000}'
complains 'expected text such as "<=2000"'

# ---- Ctrl-C gives the best so far, of purchases and of the search for the highest load, or ends without one
best_so_far() {  # seconds, what the text says, words...
  after=$1 text=$2
  shift 2
  "$sextant" "$@" --threads 1 >"$scratch/out" 2>"$scratch/err" &
  run=$!
  sleep "$after"
  kill -INT "$run" 2>/dev/null
  wait "$run"
  code=$?
  [ "$code" = 130 ] || fail "Ctrl-C in '$*': exit code $code, expected 130"
  grep -q "interrupted" "$scratch/err" || fail "Ctrl-C in '$*': expected interrupted on stderr"
  # A busy machine may have nothing yet; what it has it must say.
  [ ! -s "$scratch/out" ] || says "$text"
}
best_so_far 3 "interrupted" plan scenarios/buy-405b.json
best_so_far 2 "interrupted" plan scenarios/slo-70b.json --set workload.num_prompts=20000 --no-intervals

[ "$failures" = 0 ] && echo "all passed"
exit $((failures > 0))
