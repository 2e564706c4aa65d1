#!/usr/bin/env bash
# sextant-measure tcp between two hosts: network namespaces joined by a virtual cable. Usage: namespaces_test.sh PROGRAM.
# Exits with 77 and `skipped: REASON` where namespaces may not be made.
set -uo pipefail
program=$(readlink -f -- "${1:?usage: namespaces_test.sh PROGRAM}")
PATH=$PATH:/usr/sbin:/sbin
a=sextant-a-$$ b=sextant-b-$$
work=$(mktemp -d)
failures=0
server=

clean() {
  [[ -z $server ]] || kill -9 "$server" 2>/dev/null
  ip netns del "$a" 2>/dev/null
  ip netns del "$b" 2>/dev/null
  rm -rf "$work"
}
trap clean EXIT
skip() { echo "skipped: $*"; exit 77; }

command -v ip >/dev/null || skip "no ip (apt-get install iproute2)"
ip netns add "$a" 2>/dev/null && ip netns add "$b" 2>/dev/null || skip "network namespaces may not be made here"
ip link add sxa$$ netns "$a" type veth peer name sxb$$ netns "$b" 2>/dev/null || skip "no virtual cable (veth) here"
ip -n "$a" addr add 10.77.0.1/24 dev sxa$$ && ip -n "$b" addr add 10.77.0.2/24 dev sxb$$ || skip "no addresses in namespaces"
ip -n "$a" link set sxa$$ up && ip -n "$b" link set sxb$$ up && ip -n "$a" link set lo up
ip netns exec "$a" true 2>/dev/null || skip "nothing may be run in a namespace"

start_server() {
  ip netns exec "$a" "$program" tcp --server "$@" >"$work/server" 2>&1 &
  server=$!
}
check() {  # NAME CONDITION…
  local name=$1
  shift
  if "$@"; then echo "ok: $name"; else echo "FAILED: $name"; cat "$work"/server "$work"/client; failures=$((failures + 1)); fi
}
# ends NAME TEXT SINCE CODE: failed, in under 10 s, with its reason
ends() { check "$1: $(grep -m1 "$2" "$work/client")" test "$4" -ne 0 -a $((SECONDS - $3)) -lt 10 -a -n "$(grep "$2" "$work/client")"; }

start_server -1
ip netns exec "$b" "$program" tcp -t 0.3 -o "$work/rows" 10.77.0.1 >"$work/client" 2>&1
check "1 to 16 streams" test "$(grep -c '"kind":"tcp"' "$work/rows")" -eq 5
wait "$server"
check "a server with --once ends well" test $? -eq 0

start_server
ip netns exec "$b" "$program" tcp -t 0.3 -P 2 -R -o - 10.77.0.1 >"$work/client" 2>&1
check "reverse, two clients after each other" grep -q '"streams":2' "$work/client"
ip netns exec "$b" "$program" tcp -t 0.3 -P 2 -o "$work/rows" --resume 10.77.0.1 >"$work/client" 2>&1
check "resumed: nothing twice" test "$(grep -c '"kind":"tcp"' "$work/rows")" -eq 5

ip netns exec "$b" "$program" tcp -t 60 -P 2 10.77.0.1 >"$work/client" 2>&1 &
client=$!
sleep 1
since=$SECONDS
kill -9 "$server"
wait "$client" 2>/dev/null
ends "server killed" "went away" "$since" $?

start_server
ip netns exec "$b" "$program" tcp -t 60 -P 2 10.77.0.1 >"$work/client" 2>&1 &
client=$!
sleep 1
since=$SECONDS
ip -n "$a" link set sxa$$ down
wait "$client" 2>/dev/null
ends "cable pulled" "went away" "$since" $?
since=$SECONDS
ip netns exec "$b" "$program" tcp --connect-seconds 2 10.77.0.1 >"$work/client" 2>&1
ends "nobody answers" "no answer within 2 s\|No route to host" "$since" $?
exit $((failures > 0))
