# The whole cluster in one file: two "hosts", each with both ports, started here without a launcher.
. ./lib.sh
printf 'a address=10.0.0.1\nb address=10.0.0.2\n' >/tmp/hosts
if sextant-measure fabric --hosts /tmp/hosts --launch local --parts tcp,rdma,nccl --sizes 4096 --streams 2 --seconds 0.2 \
  -o /tmp/fabric.jsonl >/tmp/fabric.log 2>&1; then good "fabric ends well"; else bad "fabric"; fi
# Both orders of the pair, two NICs each, write and send, bw and lat: 16 rows; TCP: 2.
rdma=$(grep -c '"kind":"rdma"' /tmp/fabric.jsonl) tcp=$(grep -c '"kind":"tcp"' /tmp/fabric.jsonl)
if [ "$rdma $tcp" = "16 2" ] && grep -q '"pair":"b/rxe1-a/rxe1"' /tmp/fabric.jsonl; then good "fabric: $rdma rdma rows, $tcp tcp rows"; else
  bad "fabric: $rdma rdma rows and $tcp tcp rows, expected 16 and 2"
  cat /tmp/fabric.log
fi
exit $failures
