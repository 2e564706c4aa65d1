#include "calibrate/measure/rdma/plan/options.hpp"

namespace sextant::rdma {

std::string help_text() {
  return R"(sextant-measure rdma --server -d DEVICE [options]
sextant-measure rdma -d DEVICE [options] HOST

Bandwidth and latency between two RDMA ports (InfiniBand, RoCE, Soft-RoCE), reliable connections, data checked.
Flags are perftest's where it has them.

  sextant-measure rdma --server -d mlx5_0                          # on host a; ends after one client
  sextant-measure rdma -d mlx5_0 -o rdma.jsonl a                   # on host b: send, write, read, 2 B to 8 MiB
  sextant-measure rdma -d mlx5_0 --op write --test bw -s 64K -q 1,4,16 a
  sextant-measure rdma -d mlx5_0 --use_cuda=0 --op write --test bw a    # GPU and host memory side by side

What to measure (given on a server, it must be what the client says):
  --op send,write,read     operations                     --test bw,lat  bandwidth, latency
  -s, --size LIST          message sizes, 2,64K,8M        -a, --all      2 B to 8 MiB, the default
  -q, --qp LIST            queue pairs, 1 to 16           -b, --bidirectional  both directions at once (bw)
  -t, --tx-depth N         messages under way (128)       -r, --rx-depth N     receives posted (512)
  -I, --inline_size BYTES  (bw 0, lat as many as the device takes up to 236)
  -Q, --cq-mod N           a completion every N messages (100, 1 above 8 KiB)
  -m, --mtu BYTES          256 to 4096                    -S, --sl N     service level
      --tclass N, -T       traffic class (DSCP times 4)   -u, --qp-timeout N   4.096 us * 2^N (14)
  -n, --iters N            messages of a point and queue pair
  -D, --duration SECONDS   of a point, where -n is not given (1)
This end:
  -d, --ib-dev DEVICE      needed where there are several  -i, --ib-port N
  -x, --gid-index N        else RoCE v2 with an IPv4 address where there is one
  -p, --port N             TCP port of the conversation (18515)
      --use_cuda[=GPU]     GPU memory as well, by DMA-BUF, else by nvidia-peermem
      --keep               a server goes on with the next client
      --wait SECONDS       a server to which no client comes ends then (never)
      --connect-seconds S, --patience S   how long to wait for an answer (5 and 5)
  -o, --output FILE        measurement file (JSON Lines), '-' is stdout; --resume adds what is missing
      --samples FILE       every latency sample, one JSON line a point
      --source TEXT, --pair TEXT          for the rows
      --corrupt-byte       damages one byte of what this end supplies: the check must find it
      --list, --quiet, --help
Bandwidth is in Gbit/s (10^9). Latency is half the round trip of a message, for read the whole of it; t_typical is
the median. perftest's "MB/sec" are 2^20 bytes: 11,664.25 of them are 97.85 Gbit/s.
)";
}

}  // namespace sextant::rdma
