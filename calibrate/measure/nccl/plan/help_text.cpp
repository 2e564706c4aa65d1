#include "calibrate/measure/nccl/plan/options.hpp"

namespace sextant::nccl {

std::string help_text() {
  return R"(usage: sextant-measure nccl [OPERATION...] [options]

Times NCCL's collectives and send/recv, checks their results, and writes a measurement file. Without an operation it
sweeps: every operation, group size and pair, ring and tree, protocols, channel limits, with and without CUDA graphs.
With operations it does what nccl-tests' programs do, with the same flags, columns and busbw:
  all_reduce all_gather reduce_scatter broadcast all_to_all send sendrecv   (all_reduce_perf, alltoall_perf too)

  sextant-measure nccl --quick --output nccl.jsonl                     all GPUs of this machine, under 2 minutes
  sextant-measure nccl all_reduce -b 8 -e 1G -f 2 -g 4                 as all_reduce_perf
  mpirun -n 8 sextant-measure nccl --output nccl.jsonl                 one process per GPU; srun as well
  sextant-measure nccl --list -g 4                                     what would run; needs no GPU

nccl-tests' flags:
  -t,--nthreads N  -g,--ngpus N       threads of a process, GPUs of a thread (all GPUs, a thread each; under a launcher
                                      one GPU per process)
  -b,--minbytes -e,--maxbytes SIZE    8, 64K, 32M, 1G (sweep: 1K to 1G; named operation: 32M)
  -f,--stepfactor N  -i,--stepbytes N
  -n,--iters N                        operations of one sample (by default as many as fill about a millisecond)
  -w,--warmup_iters N                 (5)      -m,--agg_iters N    operations in one NCCL group (1)
  -N,--run_cycles N                   (1)      -c,--check N        checks of each result (1; 0: none)
  -o,--op sum|prod|min|max|avg|all    (sum)    -d,--datatype TYPE  float, bfloat16, half, double, int8 ... all
  -r,--root RANK|all                  (0)      -a,--average 0..3   over ranks: rank 0, mean, least, most (1)
  -G,--cudagraph N                    replay from a CUDA graph N times a sample; 0: never (sweep: both ways)
  -z,--blocking N  -y,--stream_null 0|1  -p,--parallel_init 0|1  -T,--timeout SECONDS (120)
  -J,--output_file FILE               as --output
of this program:
  --quick  --thorough                 under 2 minutes; hours: every combination, tighter spread
  --seconds N                         stop after that time; what is measured first covers everything coarsely
  --output FILE                       measurement file (JSON Lines); an existing file is an error
  --resume                            continue the run that wrote --output
  --list                              print the runs and the expected duration
  --algo ring,tree,default  --proto LL,LL128,Simple,default  --channels 2,4,8,default
                                      variants to run: every combination of these, each in a process of its own
  --groups 2,4|none  --pairs all|none group sizes (the first GPUs), pairs
  --gpu NAME                          catalogue name, if the device's name does not tell
  --link nvlink|pcie|roce|ib|tcp      instead of the link found through NVML and /sys
  --source TEXT                       `source` of the rows
  --rendezvous FILE                   where processes on several nodes meet: on a shared file system; otherwise
                                      MASTER_ADDR and MASTER_PORT; on one node neither is needed
  --nccl-library FILE                 libnccl.so.2 to load, if the loader does not find it
  --overlap [--gemm MxNxK,...] [--priority same,high]
                                      each collective beside a bf16 GEMM on a second stream of each GPU: what each
                                      takes from the other (kind "overlap"), with NCCL held to each of --channels
                                      (default,1,2,4,8,16,24); all_reduce and sendrecv of 64M unless said otherwise;
                                      priority of the collective's stream; about 80 s on two GPUs
  --allow-multicast                   let NCCL use NVLink multicast (NVLS); without it NCCL_NVLS_ENABLE=0 is set

Time of `send` up to 256 MiB is half a round trip (latency and transfer), above it the period of a stream one way;
`sendrecv` is both ways at once, and its bandwidth that of one way.
Exit codes: 0 ok, 1 failure or wrong results, 2 bad usage or no GPU, 130 interrupted.
)";
}

}  // namespace sextant::nccl
