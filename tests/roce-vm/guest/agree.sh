# All operations of ours between two ports and from one port to itself; then ours and perftest in turn, five times each:
# medians of bandwidth and of median latency must agree within 25 %. A difference counts where every run of ours lies on
# one side of every run of perftest's (were there none, 2 of the 252 orders of five and five would show one); where the
# runs overlap, the machine is too busy to tell.
. ./lib.sh
runs=${1:-5}
latest_start=270  # seconds after the boot: the host gives up at 400
# Two processes that poll on one processor would each wait for the other's time slice.
on_first="taskset 1" on_second="taskset 2"

ours() {  # DEVICE OPTIONS…: the client's rows; the server runs on rxe0
  local device=$1
  shift
  $on_first sextant-measure rdma --server -d rxe0 --wait 20 --quiet >/tmp/server.log 2>&1 &
  wait_for_server
  $on_second sextant-measure rdma -d "$device" "$@" -o - 10.0.0.1 2>/tmp/client.log
  local code=$?
  wait
  return $code
}

theirs() {  # PROGRAM OPTIONS…: the table's line
  local program=$1
  shift
  $on_first "$program" -d rxe0 "$@" >/tmp/server.log 2>&1 &
  wait_for_server
  $on_second "$program" -d rxe1 "$@" 10.0.0.1 2>&1 | grep -E '^ *[0-9]+ +[0-9]+ '
  wait
}

for settings in "rxe1 -q 1" "rxe0 -q 4 -b"; do
  # shellcheck disable=SC2086  # words
  rows=$(ours $settings -s 2,4096,64K -n 40 -u 17)
  count=$(echo "$rows" | grep -c '"kind":"rdma"')
  if [ "$count" = 18 ]; then good "$settings to rxe0: 18 rows, data checked"; else
    bad "$settings to rxe0: $count rows, expected 18"
    cat /tmp/client.log /tmp/server.log
  fi
done

median() { sort -g | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

compare() {  # NAME PROGRAM COLUMN KEY PERFTEST_OPTIONS OUR_OPTIONS
  local i up
  up=$(cut -d. -f1 /proc/uptime)
  if [ "$up" -gt $latest_start ]; then
    echo "undecided: $1: not run, this machine is too slow: $up s since the guest started"
    return
  fi
  : >/tmp/theirs
  : >/tmp/ours
  for i in $(seq "$runs"); do
    # shellcheck disable=SC2086
    theirs "$2" $5 | awk "{print \$$3}" >>/tmp/theirs
    # shellcheck disable=SC2086
    ours rxe1 $6 | field "$4" >>/tmp/ours
  done
  local a b apart
  a=$(median </tmp/theirs) b=$(median </tmp/ours)
  apart=$(sort -g /tmp/theirs | sed -n '1p;$p' | cat - /tmp/ours | awk '
    NR == 1 {low = $1; next} NR == 2 {high = $1; next} {above += $1 > high; below += $1 < low}
    END {print ((above == NR - 2 || below == NR - 2) ? "yes" : "no")}')
  echo "compare: $1: $2 $(tr '\n' ' ' </tmp/theirs)ours $(tr '\n' ' ' </tmp/ours)"
  echo "compare: $1: medians $a and $b, ratio $(awk "BEGIN {printf \"%.2f\", $b / $a}"), all runs apart: $apart"
  if awk "BEGIN {r = $b / $a; exit !(r > 0.75 && r < 1.25)}"; then
    good "$1 agrees with $2 within 25 %"
  elif [ "$apart" = no ]; then
    echo "undecided: $1: this machine is too busy, runs of $2 and ours overlap"
  else
    bad "$1 and $2 differ by more than 25 %"
  fi
}

bandwidth="-s 65536 -n 200"
compare "write bw, Gbit/s" ib_write_bw 4 gbps "-F $bandwidth --report_gbits" "$bandwidth --op write --test bw"
compare "send bw, Gbit/s" ib_send_bw 4 gbps "-F $bandwidth --report_gbits" "$bandwidth --op send --test bw"
compare "write lat, us" ib_write_lat 5 us "-F -s 2 -n 500" "-s 2 -n 500 --op write --test lat"
exit $failures
