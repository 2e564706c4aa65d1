# All operations of ours between two ports and from one port to itself; then ours and perftest in turn, five times each:
# medians of bandwidth and of median latency should agree within 25 %. Where they do not, ten more of each. Emulated
# processors share the host's with all it runs, so a difference fails only where it must be one of method (something
# counted twice, half a round trip, bits for bytes): medians apart by 1.7 and all runs of ours on one side of all of theirs.
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

late() {  # NAME: whether it is too late to go on
  local up
  up=$(cut -d. -f1 /proc/uptime)
  [ "$up" -gt $latest_start ] && echo "undecided: $1: stopped, this machine is too slow: $up s since the guest started"
}

take_turns() {  # COUNT PROGRAM COLUMN KEY PERFTEST_OPTIONS OUR_OPTIONS: more lines in /tmp/theirs and /tmp/ours
  local i
  for i in $(seq "$1"); do
    # shellcheck disable=SC2086
    theirs "$2" $5 | awk "{print \$$3}" >>/tmp/theirs
    # shellcheck disable=SC2086
    ours rxe1 $6 | field "$4" >>/tmp/ours
  done
}

within() {  # FACTOR: whether the medians are
  awk "BEGIN {r = $(median </tmp/ours) / $(median </tmp/theirs); exit !(r < $1 && 1 / r < $1)}"
}

apart() {  # whether all runs of ours lie on one side of all of theirs
  sort -g /tmp/theirs | sed -n '1p;$p' | cat - /tmp/ours | awk '
    NR == 1 {low = $1; next} NR == 2 {high = $1; next} {above += $1 > high; below += $1 < low}
    END {exit !(above == NR - 2 || below == NR - 2)}'
}

compare() {  # NAME PROGRAM COLUMN KEY PERFTEST_OPTIONS OUR_OPTIONS
  local name=$1
  shift
  late "$name" && return
  : >/tmp/theirs
  : >/tmp/ours
  take_turns "$runs" "$@"
  if ! within 1.25; then
    late "$name" && return
    take_turns $((2 * runs)) "$@"
  fi
  echo "compare: $name: $1 $(tr '\n' ' ' </tmp/theirs)ours $(tr '\n' ' ' </tmp/ours)"
  name="$name: medians $(median </tmp/theirs) of $1 and $(median </tmp/ours) of ours"
  if [ "$(wc -l </tmp/theirs)" != "$(wc -l </tmp/ours)" ] || ! [ -s /tmp/ours ]; then
    bad "$name: some runs gave no figure: $(cat /tmp/client.log /tmp/server.log)"
  elif within 1.25; then
    good "$name agree within 25 %"
  elif within 1.7 || ! apart; then
    echo "undecided: $name differ by more than 25 %, as much as a busy machine can explain"
  else
    bad "$name differ by more than a busy machine can explain"
  fi
}

bandwidth="-s 65536 -n 200"
compare "write bw, Gbit/s" ib_write_bw 4 gbps "-F $bandwidth --report_gbits" "$bandwidth --op write --test bw"
compare "send bw, Gbit/s" ib_send_bw 4 gbps "-F $bandwidth --report_gbits" "$bandwidth --op send --test bw"
compare "write lat, us" ib_write_lat 5 us "-F -s 2 -n 500" "-s 2 -n 500 --op write --test lat"
exit $failures
