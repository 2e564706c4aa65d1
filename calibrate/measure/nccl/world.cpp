#include "calibrate/measure/nccl/world.hpp"

#include <fmt/core.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <exception>

#include "calibrate/measure/nccl/cuda_call.hpp"
#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

constexpr std::size_t most_agreed = 4096;
constexpr double rendezvous_patience_seconds = 120;

/// A RankPlace in bytes, for NCCL to gather.
struct PlaceBytes {
  std::array<char, 128> host{};
  std::array<char, 32> bus_id{};
  std::array<char, 128> device_name{};
  int device = 0, pid = 0;
};

template <std::size_t Size>
void put(std::array<char, Size>& bytes, const std::string& text) {
  std::copy_n(text.begin(), std::min(text.size(), Size - 1), bytes.begin());
}

RankPlace place_of(const LocalRank& local) {
  RankPlace place;
  std::array<char, 128> text{};
  if (gethostname(text.data(), text.size() - 1) == 0) place.host = text.data();
  std::array<char, 32> bus_id{};
  cuda_check(cudaDeviceGetPCIBusId(bus_id.data(), bus_id.size(), local.device), "cudaDeviceGetPCIBusId");
  place.bus_id = bus_id.data();
  cudaDeviceProp properties{};
  cuda_check(cudaGetDeviceProperties(&properties, local.device), "cudaGetDeviceProperties");
  place.device_name = properties.name;
  place.device = local.device;
  place.pid = getpid();
  return place;
}

/// The first of this process's devices: those of the processes before it on this node come earlier, unless
/// the launcher shows each process only its own.
int first_device(const WorldSetup& setup, int wanted) {
  int visible = 0;
  cuda_check(cudaGetDeviceCount(&visible), "cudaGetDeviceCount");
  const int first = setup.place.local_rank * wanted;
  if (first + wanted <= visible) return first;
  if (setup.place.size > 1 && visible == wanted) return 0;
  throw InputError(fmt::format("nccl: found {} GPUs, expected {} for process {} of this node ({} each)",
                               visible, first + wanted, setup.place.local_rank, wanted));
}

}  // namespace

World::World(const NcclLibrary& nccl, const WorldSetup& setup) : nccl_(nccl), setup_(setup) {
  open_devices();
  connect();
  threads_ = std::make_unique<WorkerThreads>(setup_.threads);
  exchange_places();
}

void World::open_devices() {
  const int count = setup_.threads * setup_.gpus_per_thread;
  const int first = first_device(setup_, count);
  size_ = setup_.place.size * count;
  for (int i = 0; i < count; ++i) {
    LocalRank local;
    local.rank = setup_.place.rank * count + i;
    local.device = first + i;
    cuda_check(cudaSetDevice(local.device), "cudaSetDevice");
    if (!setup_.null_stream)
      cuda_check(cudaStreamCreateWithFlags(&local.stream, cudaStreamNonBlocking),
                 "cudaStreamCreateWithFlags");
    cuda_check(cudaEventCreate(&local.start), "cudaEventCreate");
    cuda_check(cudaEventCreate(&local.stop), "cudaEventCreate");
    cuda_check(cudaMalloc(&local.wrong, sizeof *local.wrong), "cudaMalloc");
    cuda_check(cudaMalloc(&local.agreement, most_agreed * sizeof(double)), "cudaMalloc");
    local_.push_back(local);
  }
}

void World::connect() {
  ncclUniqueId id{};
  if (leads()) nccl_.check(nccl_.get_unique_id(&id), "ncclGetUniqueId");
  const std::string shared =
      share_from_first(setup_.meeting, setup_.place, setup_.generation,
                       std::string(id.internal, sizeof id.internal), rendezvous_patience_seconds);
  if (shared.size() != sizeof id.internal)
    throw Error(ExitCode::failure,
                fmt::format("rendezvous: found {} bytes, expected {}", shared.size(), sizeof id.internal));
  std::memcpy(id.internal, shared.data(), sizeof id.internal);
  nccl_.check(nccl_.group_start(), "ncclGroupStart");
  for (LocalRank& local : local_) {
    cuda_check(cudaSetDevice(local.device), "cudaSetDevice");
    nccl_.check(nccl_.comm_init_rank(&local.world, size_, id, local.rank), "ncclCommInitRank");
  }
  nccl_.check(nccl_.group_end(), "ncclGroupEnd (ncclCommInitRank)");
}

void World::exchange_places() {
  if (setup_.place.size == 1) {
    for (const LocalRank& local : local_) roster_.push_back(place_of(local));
    return;
  }
  const std::size_t each = sizeof(PlaceBytes), all = each * static_cast<std::size_t>(size_);
  std::vector<void*> buffers;
  for (const LocalRank& local : local_) {
    const RankPlace place = place_of(local);
    PlaceBytes bytes;
    put(bytes.host, place.host);
    put(bytes.bus_id, place.bus_id);
    put(bytes.device_name, place.device_name);
    bytes.device = place.device;
    bytes.pid = place.pid;
    cuda_check(cudaSetDevice(local.device), "cudaSetDevice");
    void* buffer = nullptr;
    cuda_check(cudaMalloc(&buffer, all), "cudaMalloc");
    cuda_check(cudaMemcpy(static_cast<std::byte*>(buffer) + each * static_cast<std::size_t>(local.rank),
                          &bytes, each, cudaMemcpyHostToDevice),
               "cudaMemcpy");
    buffers.push_back(buffer);
  }
  nccl_.check(nccl_.group_start(), "ncclGroupStart");
  for (std::size_t i = 0; i < local_.size(); ++i) {
    const std::byte* own =
        static_cast<std::byte*>(buffers[i]) + each * static_cast<std::size_t>(local_[i].rank);
    nccl_.check(nccl_.all_gather(own, buffers[i], each, ncclUint8, local_[i].world, local_[i].stream),
                "ncclAllGather");
  }
  nccl_.check(nccl_.group_end(), "ncclGroupEnd");
  for (const LocalRank& local : local_) finish(local);
  std::vector<PlaceBytes> gathered(static_cast<std::size_t>(size_));
  cuda_check(cudaSetDevice(local_.front().device), "cudaSetDevice");
  cuda_check(cudaMemcpy(gathered.data(), buffers.front(), all, cudaMemcpyDeviceToHost), "cudaMemcpy");
  for (const PlaceBytes& bytes : gathered)
    roster_.push_back(
        {bytes.host.data(), bytes.bus_id.data(), bytes.device_name.data(), bytes.device, bytes.pid});
  for (std::size_t i = 0; i < local_.size(); ++i) {
    cuda_check(cudaSetDevice(local_[i].device), "cudaSetDevice");
    cuda_check(cudaFree(buffers[i]), "cudaFree");
  }
}

World::~World() {
  // After a failure operations may still hang on the device; only aborting ends them.
  const bool failed = std::uncaught_exceptions() > 0;
  const auto close = failed ? nccl_.comm_abort : nccl_.comm_destroy;
  threads_.reset();
  for (std::size_t i = 0; i < local_.size(); ++i) {
    cudaSetDevice(local_[i].device);
    for (const auto& [members, comms] : groups_)
      if (comms[i] && comms[i] != local_[i].world) close(comms[i]);
    if (local_[i].world) close(local_[i].world);
  }
  if (failed) return;  // the process ends; freeing could wait for what hangs
  for (const LocalRank& local : local_) {
    cudaSetDevice(local.device);
    for (void* memory : {static_cast<void*>(local.send_pool), static_cast<void*>(local.recv_pool),
                         static_cast<void*>(local.wrong), static_cast<void*>(local.agreement)})
      cudaFree(memory);
    cudaEventDestroy(local.start);
    cudaEventDestroy(local.stop);
    if (local.stream) cudaStreamDestroy(local.stream);
  }
}

std::size_t World::allocate_pools(std::size_t wanted_bytes) {
  constexpr std::size_t reserve = std::size_t{2} << 30;  // communicators of groups to come
  double least = static_cast<double>(wanted_bytes);
  for (const LocalRank& local : local_) {
    cuda_check(cudaSetDevice(local.device), "cudaSetDevice");
    std::size_t free = 0, total = 0;
    cuda_check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    least = std::min(least, static_cast<double>((free > 2 * reserve ? free - reserve : free / 2) / 2));
  }
  constexpr std::size_t alignment = 4096;
  const std::size_t bytes = static_cast<std::size_t>(-most(-least)) / alignment * alignment;
  for (LocalRank& local : local_) {
    cuda_check(cudaSetDevice(local.device), "cudaSetDevice");
    cuda_check(cudaMalloc(&local.send_pool, bytes), "cudaMalloc");
    cuda_check(cudaMalloc(&local.recv_pool, bytes), "cudaMalloc");
  }
  return bytes;
}

const std::vector<ncclComm_t>& World::group(const std::vector<int>& members) {
  const auto [found, added] = groups_.try_emplace(members);
  std::vector<ncclComm_t>& comms = found->second;
  if (!added) return comms;
  comms.resize(local_.size());
  if (static_cast<int>(members.size()) == size_) {
    for (std::size_t i = 0; i < local_.size(); ++i) comms[i] = local_[i].world;
    return comms;
  }
  nccl_.check(nccl_.group_start(), "ncclGroupStart");
  for (std::size_t i = 0; i < local_.size(); ++i) {
    const bool member = std::binary_search(members.begin(), members.end(), local_[i].rank);
    cuda_check(cudaSetDevice(local_[i].device), "cudaSetDevice");
    nccl_.check(nccl_.comm_split(local_[i].world, member ? 0 : NCCL_SPLIT_NOCOLOR, local_[i].rank, &comms[i],
                                 nullptr),
                "ncclCommSplit");
  }
  nccl_.check(nccl_.group_end(), "ncclGroupEnd (ncclCommSplit)");
  return comms;
}

std::vector<double> World::most(std::vector<double> values) {
  if (setup_.place.size == 1) return values;
  if (values.size() > most_agreed) throw Error(ExitCode::failure, "nccl: found too many values to agree on");
  const std::size_t bytes = values.size() * sizeof(double);
  for (const LocalRank& local : local_) {
    cuda_check(cudaSetDevice(local.device), "cudaSetDevice");
    cuda_check(cudaMemcpyAsync(local.agreement, values.data(), bytes, cudaMemcpyHostToDevice, local.stream),
               "cudaMemcpyAsync");
  }
  nccl_.check(nccl_.group_start(), "ncclGroupStart");
  for (const LocalRank& local : local_)
    nccl_.check(nccl_.all_reduce(local.agreement, local.agreement, values.size(), ncclDouble, ncclMax,
                                 local.world, local.stream),
                "ncclAllReduce");
  nccl_.check(nccl_.group_end(), "ncclGroupEnd");
  for (const LocalRank& local : local_) finish(local);
  cuda_check(cudaSetDevice(local_.front().device), "cudaSetDevice");
  cuda_check(cudaMemcpy(values.data(), local_.front().agreement, bytes, cudaMemcpyDeviceToHost),
             "cudaMemcpy");
  return values;
}

void World::on_threads(const std::function<void(const std::vector<int>& mine)>& work) {
  threads_->run([&](int index) {
    std::vector<int> mine;
    for (int i = 0; i < setup_.gpus_per_thread; ++i) mine.push_back(index * setup_.gpus_per_thread + i);
    work(mine);
  });
}

void World::finish(const LocalRank& local) const {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  cuda_check(cudaSetDevice(local.device), "cudaSetDevice");
  for (;;) {
    const cudaError_t state = cudaStreamQuery(local.stream);
    if (state == cudaSuccess) return;
    if (state != cudaErrorNotReady) cuda_check(state, "cudaStreamQuery");
    static_cast<void>(cudaGetLastError());  // "not ready" is no error of a later launch
    ncclResult_t trouble = ncclSuccess;
    nccl_.check(nccl_.async_error(local.world, &trouble), "ncclCommGetAsyncError");
    nccl_.check(trouble, "NCCL, asynchronously");
    const double waited = std::chrono::duration<double>(Clock::now() - begin).count();
    if (waited > setup_.timeout_seconds)
      throw Error(ExitCode::failure, fmt::format("nccl: GPU {} did not finish within {:.0f} s (--timeout)",
                                                 local.device, setup_.timeout_seconds));
    if (waited > 1e-3) sched_yield();
  }
}

}  // namespace sextant::nccl
