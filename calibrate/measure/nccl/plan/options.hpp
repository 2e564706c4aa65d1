#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/measure/nccl/plan/operation.hpp"

namespace sextant::nccl {

enum class Effort { quick, standard, thorough };

/// Which variants a list option names; "default" is the empty text, or 0 channels.
struct VariantChoice {
  std::optional<std::vector<std::string>> algorithms;  ///< "", "Ring", "Tree"
  std::optional<std::vector<std::string>> protocols;   ///< "", "LL", "LL128", "Simple"
  std::optional<std::vector<int>> channels;            ///< 0: default
};

/// A GEMM out[m, n] = in[m, k] * weight[n, k]^T.
struct GemmShape {
  std::int64_t m = 0, n = 0, k = 0;
  bool operator==(const GemmShape&) const = default;
};

/// What `--overlap` measures collectives beside.
struct OverlapOptions {
  bool wanted = false;
  std::vector<GemmShape> gemms = {{8192, 8192, 8192}, {16, 8192, 28672}};  ///< compute-bound; weights once
  std::vector<bool> high_priority = {false, true};                         ///< of the collective's stream
};

/// How the parent process starts one of its children (not for users).
struct ChildOptions {
  int process = -1;     ///< index into the plan; -1: this is the parent
  int first_block = 0;  ///< of that process
  int rows_descriptor = -1;
  double seconds = 0;  ///< what it may take; 0: no limit
};

/// The command line of `sextant-measure nccl`: nccl-tests' flags, and ours in long form.
struct Options {
  // nccl-tests'
  std::optional<int> threads, gpus_per_thread;
  std::optional<std::uint64_t> min_bytes, max_bytes, step_bytes;
  std::optional<int> step_factor;
  std::optional<int> iterations, warm_up;
  int aggregate = 1, cycles = 1, check = 1, average = 1, timeout_seconds = 0;
  std::vector<Reduction> reductions = {Reduction::sum};
  std::optional<std::vector<DataType>> types;
  std::optional<int> root;  ///< -1: every root in turn
  std::optional<int> graph_launches;
  bool blocking = false, null_stream = false, parallel_init = false;
  // ours
  std::vector<Operation> operations;  ///< empty: the whole sweep
  Effort effort = Effort::standard;
  std::optional<double> seconds;
  std::string output;
  bool resume = false, list = false, help = false, allow_multicast = false;
  VariantChoice variants;
  OverlapOptions overlap;
  std::optional<std::vector<int>> group_sizes;  ///< empty vector: none
  std::optional<bool> pairs;
  std::string gpu, link, rendezvous, nccl_library, source;
  ChildOptions child;
  std::vector<std::string> arguments;  ///< as given

  /// Ranks that one process drives, when the user says so.
  std::optional<int> local_ranks() const;
  bool sweep() const { return operations.empty(); }
};

/// Reads the arguments after `nccl`. Long names may be shortened and joined with '=', as getopt_long has it.
/// Throws InputError that names the option, what was found and what is expected.
Options parse_options(const std::vector<std::string>& arguments);

/// What `--help` prints, with a working example.
std::string help_text();

}  // namespace sextant::nccl
