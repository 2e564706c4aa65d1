# What may go wrong goes wrong here on purpose; each must end with its reason, in under 10 s.
. ./lib.sh
ip=/programs/ip  # busybox's shell would take its own

start_server() { sextant-measure rdma --server -d rxe0 --wait 20 "$@" >/tmp/server.log 2>&1 & server=$!; wait_for_server; }
start_client() { sextant-measure rdma -d rxe1 --quiet --op write --test bw -s 4096 "$@" 10.0.0.1 >/tmp/client.log 2>&1; }

# Until the client has printed its table's heading, and a little longer.
wait_for_transfer() {
  local turns=0
  until grep -q " Test, " /tmp/client.log || [ $turns -gt 100 ]; do
    turns=$((turns + 1))
    usleep 100000
  done
  sleep 1
}

now() { cut -d' ' -f1 /proc/uptime; }

# expect NAME LOG TEXT SINCE CODE: the log has the reason, the code says failure, and it took less than 10 s
expect() {
  local took
  took=$(awk "BEGIN {printf \"%.1f\", $(now) - $4}")
  if [ "$5" != 0 ] && grep -q "$3" "$2" && awk "BEGIN {exit !($took < 10)}"; then
    good "$1: $took s: $(grep -m1 "$3" "$2")"
  else
    bad "$1: code $5 after $took s, expected \"$3\" in:"
    cat "$2"
  fi
}
end_server() { kill -9 $server 2>/dev/null; wait $server 2>/dev/null; }

fault() {  # NAME TEXT CLIENT_OPTIONS…: the client must say so
  local name=$1 text=$2 begin code
  shift 2
  begin=$(now)
  start_client "$@"
  code=$?
  expect "$name" /tmp/client.log "$text" "$begin" $code
}

# Settings and addresses
start_server -q 4
fault "settings differ" "qp is 1 at the client and 4 at the server"
wait $server; expect "settings differ, at the server" /tmp/server.log "qp is 1 at the client and 4 at the server" "$(now)" $?
start_server
fault "wrong GID" "found no GID with index 77 (-x), expected one of 0 (RoCE v2 fe80" -x 77
end_server
start_server
fault "GID of another network" "IP versions differ: GID 0" -x 0
end_server

# Damaged data
start_server
fault "a corrupted byte" "the data that arrived at server 10.0.0.1 differ" --corrupt-byte -n 20
wait $server; expect "a corrupted byte, at the server" /tmp/server.log "the data that arrived here differ" "$(now)" $?

# A peer that dies or hangs in mid-transfer
start_server
sextant-measure rdma -d rxe1 --op write --test bw -s 4096 -D 60 10.0.0.1 >/tmp/client.log 2>&1 &
client=$!
wait_for_transfer
begin=$(now)
kill -9 $server
wait $client; expect "server killed" /tmp/client.log "went away" "$begin" $?
start_server
sextant-measure rdma -d rxe1 --op send --test lat -s 4096 -D 60 10.0.0.1 >/tmp/client.log 2>&1 &
client=$!
wait_for_transfer
begin=$(now)
kill -9 $client
wait $server; expect "client killed" /tmp/server.log "went away" "$begin" $?
start_server
sextant-measure rdma -d rxe1 --op send --test lat -s 4096 -D 60 --patience 3 10.0.0.1 >/tmp/client.log 2>&1 &
client=$!
wait_for_transfer
begin=$(now)
kill -STOP $server
wait $client; expect "server hangs" /tmp/client.log "nothing has moved between here and server 10.0.0.1 for 3 s" "$begin" $?
end_server

# Firewalls and MTU
nft add table ip f
nft add chain ip f in '{ type filter hook input priority 0; }'
start_server
nft add rule ip f in tcp dport $port drop
fault "TCP port dropped" "no answer within 5 s; does a firewall drop the port"
nft flush table ip f
end_server
start_server
nft add rule ip f in udp dport 4791 drop
fault "RoCE's UDP port dropped" "is a firewall dropping UDP port 4791"
nft flush table ip f
wait $server; expect "RoCE's UDP port dropped, at the server" /tmp/server.log "UDP port 4791" "$(now)" $?
start_server
nft add rule ip f in udp dport 4791 meta length '>' 2000 drop
fault "small MTU on the path" "messages of 2 B arrive and those of one RDMA MTU (4096 B) do not"
nft flush table ip f
end_server
$ip link set w0 mtu 1500
sleep 1
start_server
fault "small MTU of an interface" "found an active RDMA MTU of 1024 on rxe0 of guest, expected at least as much" -m 4096
end_server
start_server
if start_client -n 20 && grep -q "active RDMA MTUs differ, 4096 here and 1024 there: using 1024" /tmp/client.log; then
  good "MTUs that differ: $(grep -m1 differ /tmp/client.log)"
else
  bad "MTUs that differ:"
  cat /tmp/client.log
fi
wait $server
$ip link set w0 mtu 9000
start_server
fault "no such device" "found no device \"rxe2\" (-d), expected one of rxe0, rxe1" -d rxe2
end_server

# GPU memory: a stand-in for the driver hands out host memory, so the way by nvidia-peermem is walked to its end.
export LD_LIBRARY_PATH=/data
start_server --use_cuda
if start_client --use_cuda -n 20 && grep -q "GPU memory by nvidia-peermem" /tmp/client.log &&
  grep -q "# write bw .* 4096 B: " /tmp/client.log; then
  good "GPU memory beside host memory: $(grep '# write bw ' /tmp/client.log)"
else
  bad "GPU memory:"
  cat /tmp/client.log /tmp/server.log
fi
unset LD_LIBRARY_PATH
end_server
start_server --use_cuda
fault "no GPU driver" "found no libcuda.so.1" --use_cuda
exit $failures
