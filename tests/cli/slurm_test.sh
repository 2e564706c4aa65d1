#!/usr/bin/env bash
# A sweep as shards of a real Slurm array on this one machine, one of them killed and requeued: the merged rows must be
# those of threads, byte for byte. Exit code 77 (skipped) with the reason where Slurm is not there or does not start.
#   slurm_test.sh path/to/sextant path/to/repository [POINTS [PROMPTS]]
set -uo pipefail
sextant=$1 repository=$2 points=${3:-64} prompts=${4:-2000}
shards=8
scenario=$repository/scenarios/h200-node-70b.json
scratch=$(mktemp -d)
chmod 755 "$scratch"

skip() { echo "skipped: $1"; exit 77; }
fail() {
  echo "FAILED: $1"
  tail -n 5 "$scratch"/rows/*.log "$scratch"/slurmctld.log 2>/dev/null
  exit 1
}
daemons=()
finish() {
  ((${#daemons[@]} == 0)) || kill "${daemons[@]}" 2>/dev/null
  wait
  rm -rf "$scratch"
}
trap finish EXIT
for program in slurmctld slurmd munged sbatch; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || skip "no $program (Debian: slurm-wlm, munge)"
done
PATH=$PATH:/usr/sbin
((EUID == 0)) || skip "slurmd needs root"

# ---- one node, with its own key, sockets and ports
host=$(hostname -s)
cpus=$(nproc)
dd if=/dev/urandom of="$scratch/munge.key" bs=128 count=1 2>/dev/null
chmod 400 "$scratch/munge.key"
mkdir -p "$scratch"/{munge,state,spool}
chmod 711 "$scratch/munge"
munged --foreground --force --key-file="$scratch/munge.key" --socket="$scratch/munge/socket" --pid-file="$scratch/munge/pid" \
  --log-file="$scratch/munge/log" --seed-file="$scratch/munge/seed" >/dev/null 2>&1 &
daemons+=($!)
base=$((20000 + RANDOM % 20000))
cat >"$scratch/slurm.conf" <<EOF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$base
SlurmdPort=$((base + 1))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$scratch/munge/socket,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=bf_interval=2,sched_interval=2
MpiDefault=none
ReturnToService=2
StateSaveLocation=$scratch/state
SlurmdSpoolDir=$scratch/spool
SlurmctldPidFile=$scratch/slurmctld.pid
SlurmdPidFile=$scratch/slurmd.pid
SlurmctldLogFile=$scratch/slurmctld.log
SlurmdLogFile=$scratch/slurmd.log
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
export SLURM_CONF=$scratch/slurm.conf
slurmctld -D >/dev/null 2>&1 &
daemons+=($!)
slurmd -D >/dev/null 2>&1 &
daemons+=($!)
ready=
for _ in $(seq 60); do
  [[ $(sinfo -h -o %t 2>/dev/null) == idle ]] && ready=yes && break
  sleep 0.5
done
[[ $ready ]] || skip "Slurm does not start here: $(tail -qn 1 "$scratch"/slurmctld.log "$scratch"/slurmd.log 2>/dev/null | tr '\n' ' ')"

# ---- the same grid on threads and as an array
grid=("$scenario" --set 'deployment={"tp":4}' --set "workload.num_prompts=$prompts"
  --axis "workload.seed=1..$((points / 4))" --axis "workload.request_rate=1,2,4,6")
started=$SECONDS
"$sextant" sweep "${grid[@]}" --csv "$scratch/threads.csv" --json "$scratch/threads.json" -q >/dev/null || fail "sweep on threads"
echo "threads: $points points in $((SECONDS - started)) s on $cpus CPUs"
started=$SECONDS
"$sextant" sweep "${grid[@]}" --rows "$scratch/rows" --submit slurm --shards $shards --start || fail "submit"

# ---- kill the first shard that has some rows and not all
mine() { [[ $(tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null) == *"--rows $scratch/rows --shard auto"* ]]; }
killed=
for _ in $(seq 2000); do
  for process in $(pgrep -x sextant); do
    mine "$process" || continue
    shard=$(tr '\0' '\n' <"/proc/$process/environ" 2>/dev/null | sed -n 's/^SLURM_ARRAY_TASK_ID=//p')
    file=$scratch/rows/shard-$shard-of-$shards.jsonl
    rows=$(wc -l <"$file" 2>/dev/null || echo 0)
    if ((rows > 1 && rows < points / shards)) && kill -KILL "$process" 2>/dev/null; then killed=$shard && break 2; fi
  done
  sleep 0.02
done
[[ $killed ]] || fail "no shard could be killed in time"
printf '{"point": 3, "val' >>"$file"  # and its last line is torn
echo "killed: shard $killed of $shards after $((rows - 1)) rows"
for _ in $(seq 600); do
  [[ -s $scratch/rows/sweep.json ]] && break
  sleep 0.5
done
[[ -s $scratch/rows/sweep.json ]] || fail "the merge has no result: $(squeue 2>&1)"
for _ in $(seq 20); do [[ -z $(squeue -h 2>/dev/null) ]] && break; sleep 0.5; done
echo "slurm: $shards shards, requeue and merge in $((SECONDS - started)) s"
grep -h "points done before" "$scratch/rows/shard-$killed.log"
[[ $(grep -c "points done before" "$scratch/rows/shard-$killed.log") -ge 2 ]] || fail "shard $killed was not started again"
cmp "$scratch/threads.csv" "$scratch/rows/sweep.csv" || fail "CSV differs"
cmp "$scratch/threads.json" "$scratch/rows/sweep.json" || fail "JSON differs"
sha256sum "$scratch/threads.csv" "$scratch/rows/sweep.csv" | sed "s|$scratch/||"
echo "slurm_test: identical"
