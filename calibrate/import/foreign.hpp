#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "calibrate/import/import_report.hpp"

namespace sextant {

/// What a foreign tool's output does not say about itself; empty or 0 where nobody said it.
struct ForeignOrigin {
  std::string gpu;        ///< catalogue name
  std::string link;       ///< class: nvlink, pcie, roce, ib, tcp
  std::string operation;  ///< of nccl-tests before 2.17, which do not name theirs
  double rate_gbps = 0;   ///< line rate of a port, Gbit/s
  double bytes = 0;       ///< nvbandwidth's buffer
  std::string scenario;   ///< file: what was deployed when vLLM was measured
  std::string details;    ///< where files of single requests go, up to their ending; empty: nowhere
};

// One reader for each tool. Each tells text from JSON by the first character, passes its rows on and counts
// the others; throws InputError, naming file and line (or JSON path), for output it cannot understand or that
// contradicts itself.

/// nccl-tests, text or `-J` JSON -> collective, and p2p of sendrecv_perf over two ranks; out-of-place and
/// in-place rows apart, named in the note. NCCL's debug log between the rows tells link, GPUDirect and NVLS.
void import_nccl_tests(const std::string& path, const ForeignOrigin&, ImportReport&, const MeasurementSink&);
/// perftest (ib_send_bw, ib_write_lat, …), text or `--out_json` -> rdma, Gbit/s and us. "MB/sec" is 2^20 B/s.
/// JSON does not name its unit: the message rate decides between MB/sec and Gb/sec.
void import_perftest(const std::string& path, const ForeignOrigin&, ImportReport&, const MeasurementSink&);
/// `iperf3 -J` over TCP -> tcp, what the receiver got; retransmits in the note.
void import_iperf3(const std::string& path, const ForeignOrigin&, ImportReport&, const MeasurementSink&);
/// nvbandwidth, text or `-j` -> copy, one row for each cell of a one-way matrix.
void import_nvbandwidth(const std::string& path, const ForeignOrigin&, ImportReport&, const MeasurementSink&);
/// `nvidia-smi topo -m` -> one context line: devices, how each pair is connected, CPUs and NUMA node of each
/// GPU.
void import_topology(const std::string& path, const ForeignOrigin&, ImportReport&, const MeasurementSink&);
/// A log of NCCL_DEBUG=INFO -> one context line: version, ranks, channels, the transport of each pair, `gdr`.
void import_nccl_log(const std::string& path, const ForeignOrigin&, ImportReport&, const MeasurementSink&);
/// Our own measurement files, held to the same limits.
void import_measurements(const std::string& path, const ForeignOrigin&, ImportReport&,
                         const MeasurementSink&);

namespace detail {

/// The words of a line, split at blanks and tabs.
std::vector<std::string_view> words_of(std::string_view line);
/// The line without what mpirun --tag-output puts before it ("[1,0]<stdout>:") and without terminal colours.
std::string plain_line(std::string_view line);
/// A whole number, all of the text; -1 if it is none or negative.
long long whole_number(std::string_view text);
/// True if the first character that is no blank is '{'.
bool is_json(std::string_view text);
/// "nccl-tests, FILE": the tool and the file's name without its folder.
std::string source_of(const std::string& tool, const std::string& path);
/// The text around `key` ("Mtu             : 4096[B]"): what follows the colon up to the next two blanks.
std::string value_after(std::string_view line, std::string_view key);

}  // namespace detail
}  // namespace sextant
