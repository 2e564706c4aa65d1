#include "calibrate/measure/nccl/overlap_gpu.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "calibrate/measure/device/fill.hpp"
#include "calibrate/measure/nccl/cuda_call.hpp"
#include "calibrate/measure/nccl/random_data.hpp"
#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t element_bytes = 2;  // bf16 throughout
constexpr float gemm_range = 1.0F;

double microseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

std::string bus_id_of(int device) {
  std::array<char, 32> text{};
  cuda_check(cudaDeviceGetPCIBusId(text.data(), static_cast<int>(text.size()), device),
             "cudaDeviceGetPCIBusId");
  return text.data();
}

/// The bus id, with the device made the thread's own before any member allocates on it.
std::string select(int device) {
  cuda_check(cudaSetDevice(device), "cudaSetDevice");
  return bus_id_of(device);
}

std::size_t l2_bytes_of(int device) {
  int bytes = 0;
  cuda_check(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, device), "cudaDeviceGetAttribute");
  return static_cast<std::size_t>(bytes);
}

std::size_t copies_beyond(std::size_t l2_bytes, std::size_t weight_bytes) {
  return std::max<std::size_t>(1, (3 * l2_bytes + weight_bytes - 1) / weight_bytes);
}

std::size_t matrix(std::int64_t rows, std::int64_t columns) {
  return measure::matrix_bytes(measure::GemmType::bf16, rows, columns);
}

}  // namespace

PriorityStream::PriorityStream(bool high) {
  int least = 0, greatest = 0;
  cuda_check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
  cuda_check(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, high ? greatest : least),
             "cudaStreamCreateWithPriority");
}

PriorityStream::~PriorityStream() {
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

OverlapGemm::OverlapGemm(const measure::Blas& blas, const GemmShape& shape, void* workspace,
                         std::size_t l2_bytes, cudaStream_t stream)
    : weight_bytes_(matrix(shape.n, shape.k)),
      copies_(copies_beyond(l2_bytes, weight_bytes_)),
      input_(matrix(shape.m, shape.k)),
      weights_(copies_ * weight_bytes_),
      output_(matrix(shape.m, shape.n)),
      gemm_(blas, measure::GemmType::bf16, shape.m, shape.n, shape.k, workspace) {
  measure::fill_random(input_.at(), input_.bytes() / element_bytes, measure::Element::bf16, gemm_range, 1,
                       stream);
  measure::fill_random(weights_.at(), weights_.bytes() / element_bytes, measure::Element::bf16, gemm_range, 2,
                       stream);
  cuda_check(cudaGetLastError(), "fill_random");
  cuda_check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

void OverlapGemm::run(cudaStream_t stream) {
  measure::GemmOperands operands;
  operands.input = input_.at();
  operands.weight = weights_.at<std::byte>(next_ * weight_bytes_);
  operands.output = output_.at();
  next_ = (next_ + 1) % copies_;
  gemm_.run(operands, stream);
}

OverlapGpu::OverlapGpu(const NcclLibrary& nccl, const LocalRank& local, int ranks,
                       const std::vector<GemmShape>& shapes, std::size_t pool_bytes, double timeout_seconds)
    : nccl_(nccl),
      local_(local),
      ranks_(ranks),
      timeout_seconds_(timeout_seconds),
      nvml_(select(local.device)),
      workspace_(measure::Gemm::workspace_bytes),
      gemm_stream_(false),
      same_(false),
      high_(true) {
  for (const GemmShape& shape : shapes)
    gemms_.push_back(std::make_unique<OverlapGemm>(blas_, shape, workspace_.at(), l2_bytes_of(local_.device),
                                                   gemm_stream_));
  fill_random(local_.send_pool, DataType::bfloat16, pool_bytes / element_bytes, local_.rank, 0, gemm_stream_);
  cuda_check(cudaGetLastError(), "fill_random");
  cuda_check(cudaStreamSynchronize(gemm_stream_), "cudaStreamSynchronize");
}

bool OverlapGpu::takes_part(Operation operation) const {
  return operation != Operation::send || local_.rank % 2 == 1 || local_.rank + 1 < ranks_;
}

measure::Event& OverlapGpu::event(std::vector<measure::Event>& events, std::size_t index) {
  while (events.size() <= index) events.emplace_back();
  return events[index];
}

void OverlapGpu::issue(const OverlapWork& work, cudaStream_t stream) {
  const Operation operation = work.point->operation;
  const std::size_t count = layout(operation, work.point->bytes, element_bytes, ranks_).count;
  const auto check = [&](ncclResult_t result, const char* call) { nccl_.check(result, call); };
  void* const recv = local_.recv_pool;
  const void* const send = local_.send_pool;
  const int rank = local_.rank, next = (rank + 1) % ranks_, before = (rank + ranks_ - 1) % ranks_;
  switch (operation) {
    case Operation::all_reduce:
      return check(nccl_.all_reduce(send, recv, count, ncclBfloat16, ncclSum, work.comm, stream),
                   "ncclAllReduce");
    case Operation::all_gather:
      return check(nccl_.all_gather(send, recv, count, ncclBfloat16, work.comm, stream), "ncclAllGather");
    case Operation::reduce_scatter:
      return check(nccl_.reduce_scatter(send, recv, count, ncclBfloat16, ncclSum, work.comm, stream),
                   "ncclReduceScatter");
    case Operation::send:  // an even rank to the odd one after it
      if (rank % 2 == 0)
        return check(nccl_.send(send, count, ncclBfloat16, next, work.comm, stream), "ncclSend");
      return check(nccl_.recv(recv, count, ncclBfloat16, before, work.comm, stream), "ncclRecv");
    case Operation::sendrecv: {  // around a ring of all
      check(nccl_.group_start(), "ncclGroupStart");
      const ncclResult_t sent = nccl_.send(send, count, ncclBfloat16, next, work.comm, stream);
      const ncclResult_t received = nccl_.recv(recv, count, ncclBfloat16, before, work.comm, stream);
      const ncclResult_t ended = nccl_.group_end();
      check(sent, "ncclSend");
      check(received, "ncclRecv");
      return check(ended, "ncclGroupEnd");
    }
    default:
      throw Error(ExitCode::failure, "overlap: no such operation: " + name(operation));
  }
}

OverlapMarks OverlapGpu::run(const OverlapWork& work) {
  cuda_check(cudaSetDevice(local_.device), "cudaSetDevice");
  const cudaStream_t collectives = work.point->high_priority ? high_ : same_;
  const auto collective_units = static_cast<std::size_t>(work.collectives.units);
  const auto gemm_units = static_cast<std::size_t>(work.gemms.units);
  const double collective_unit_us = work.collective_us * work.collectives.per_unit;
  const double gemm_unit_us = work.gemm_us * work.gemms.per_unit;
  // Events are made before anything runs: making one might wait for the device.
  event(collective_events_, collective_units);
  event(gemm_events_, gemm_units);
  const auto begin = Clock::now();
  if (collective_units > 0) collective_events_[0].record(collectives);
  if (gemm_units > 0) gemm_events_[0].record(gemm_stream_);
  // Whichever stream has less ahead of it is fed next, so that both fill at once.
  for (std::size_t c = 0, g = 0; c < collective_units || g < gemm_units;) {
    const bool feed_collective =
        c < collective_units && (g >= gemm_units || static_cast<double>(c) * collective_unit_us <=
                                                        static_cast<double>(g) * gemm_unit_us);
    if (feed_collective) {
      for (int i = 0; i < work.collectives.per_unit; ++i) issue(work, collectives);
      collective_events_[++c].record(collectives);
    } else {
      for (int i = 0; i < work.gemms.per_unit; ++i) gemms_[work.gemm]->run(gemm_stream_);
      gemm_events_[++g].record(gemm_stream_);
    }
  }
  OverlapMarks marks;
  marks.host_us = microseconds_since(begin);
  const bool tells_clock = local_.rank == 0 && gemm_units > 0;
  if (tells_clock) marks.state = nvml_.state();
  if (collective_units > 0) wait(collective_events_[collective_units], work.comm);
  if (gemm_units > 0) wait(gemm_events_[gemm_units], work.comm);
  const measure::Event& origin = collective_units > 0 ? collective_events_[0] : gemm_events_[0];
  for (std::size_t i = 0; collective_units > 0 && i <= collective_units; ++i)
    marks.collective.push_back(measure::microseconds(origin, collective_events_[i]));
  for (std::size_t i = 0; gemm_units > 0 && i <= gemm_units; ++i)
    marks.gemm.push_back(measure::microseconds(origin, gemm_events_[i]));
  return marks;
}

void OverlapGpu::wait(const measure::Event& last, ncclComm_t comm) const {
  constexpr auto pause = std::chrono::microseconds(100);
  const auto begin = Clock::now();
  for (;;) {
    const cudaError_t state = cudaEventQuery(last);
    if (state == cudaSuccess) return;
    if (state != cudaErrorNotReady) cuda_check(state, "cudaEventQuery");
    static_cast<void>(cudaGetLastError());  // "not ready" is no error of a later launch
    ncclResult_t trouble = ncclSuccess;
    nccl_.check(nccl_.async_error(comm, &trouble), "ncclCommGetAsyncError");
    nccl_.check(trouble, "NCCL, asynchronously");
    if (microseconds_since(begin) > timeout_seconds_ * 1e6)
      throw Error(ExitCode::failure,
                  fmt::format("nccl --overlap: GPU {} did not finish within {:.0f} s (--timeout)",
                              local_.device, timeout_seconds_));
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace sextant::nccl
