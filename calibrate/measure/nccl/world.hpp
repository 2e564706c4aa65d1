#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "calibrate/measure/nccl/link_class.hpp"
#include "calibrate/measure/nccl/nccl_library.hpp"
#include "calibrate/measure/nccl/plan/launcher.hpp"
#include "calibrate/measure/nccl/plan/rendezvous.hpp"
#include "calibrate/measure/nccl/worker_threads.hpp"

namespace sextant::nccl {

/// One GPU that this process drives.
struct LocalRank {
  int rank = 0, device = 0;
  cudaStream_t stream = nullptr;
  cudaEvent_t start = nullptr, stop = nullptr;
  std::byte* send_pool = nullptr;  ///< random inputs of many iterations
  std::byte* recv_pool = nullptr;
  unsigned long long* wrong = nullptr;  ///< device memory
  double* agreement = nullptr;          ///< device memory
  ncclComm_t world = nullptr;
};

/// How this process takes part.
struct WorldSetup {
  ProcessPlace place;
  MeetingPoint meeting;
  int generation = 0;  ///< tells the meetings of one launch apart
  int threads = 1;
  int gpus_per_thread = 1;
  bool null_stream = false;
  double timeout_seconds = 120;  ///< of one batch of operations
};

/// All GPUs of the run: those of this process with their streams and buffers, and the communicators that join
/// them to the others.
class World {
 public:
  World(const NcclLibrary&, const WorldSetup&);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  const NcclLibrary& nccl() const { return nccl_; }
  int size() const { return size_; }
  bool leads() const { return setup_.place.rank == 0; }
  std::vector<LocalRank>& local() { return local_; }
  const std::vector<RankPlace>& roster() const { return roster_; }

  /// Allocates the pools: as many bytes as wanted each, or what the fullest GPU of the run has room for.
  /// Returns it.
  std::size_t allocate_pools(std::size_t wanted_bytes);

  /// The group's communicator for each local rank, nullptr for those outside. All processes call it with
  /// equal members.
  const std::vector<ncclComm_t>& group(const std::vector<int>& members);

  /// The largest of every process's values, in all of them. All processes call it.
  std::vector<double> most(std::vector<double> values);
  double most(double value) { return most(std::vector<double>{value}).front(); }

  /// Runs the work once for each of this process's threads, with the indices into local() that it drives.
  void on_threads(const std::function<void(const std::vector<int>& mine)>& work);

  /// Waits for a local rank's stream; throws Error when NCCL reports one or the time is over.
  void finish(const LocalRank&) const;

 private:
  void open_devices();
  void connect();
  void exchange_places();

  const NcclLibrary& nccl_;
  WorldSetup setup_;
  int size_ = 0;
  std::vector<LocalRank> local_;
  std::vector<RankPlace> roster_;
  std::map<std::vector<int>, std::vector<ncclComm_t>> groups_;
  std::unique_ptr<WorkerThreads> threads_;
};

}  // namespace sextant::nccl
