# What the guest's scripts share. Our server and perftest's wait on the same TCP port, 18515.
port=18515
failures=0

listening() { grep -q ":4853 0*:0000 0A" /proc/net/tcp /proc/net/tcp6; }  # 0x4853 is 18515
wait_for_server() {
  local turns=0
  until listening; do
    turns=$((turns + 1))
    [ $turns -lt 200 ] || { echo "no server after 10 s"; return 1; }
    usleep 50000
  done
}
good() { echo "ok: $*"; }
bad() { echo "FAILED: $*"; failures=$((failures + 1)); }

# field NAME: the numbers of that key in measurement rows
field() { grep -o "\"$1\":[0-9.e+-]*" | cut -d: -f2; }
