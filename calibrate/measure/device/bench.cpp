#include "calibrate/measure/device/bench.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "calibrate/measure/common/gpu_name.hpp"
#include "calibrate/measure/common/size_text.hpp"
#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/prefill_attention.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

constexpr std::size_t gibibyte = std::size_t{1} << 30;
constexpr std::size_t scale_bytes = std::size_t{256} << 20;

/// Selected before anything else of the bench is made.
DeviceInfo select(int device) {
  DeviceInfo info = device_info(device);
  SEXTANT_CUDA(cudaSetDevice(device));
  return info;
}

RoughRates rates_of(const std::string& device_name) {
  try {
    return rough_rates(catalogue_gpu(device_name));
  } catch (const InputError&) {
    return rough_rates("");
  }
}

template <class Library>
std::unique_ptr<Library> load(std::string& why_not) {
  try {
    return std::make_unique<Library>();
  } catch (const Error& error) {
    why_not = error.what();
    return nullptr;
  }
}

}  // namespace

DeviceInfo device_info(int device) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0)
    throw InputError(fmt::format(
        "no CUDA device: {}", status != cudaSuccess ? cudaGetErrorString(status) : "the driver finds none"));
  if (device >= count)
    throw InputError(fmt::format("--device: found {}, expected 0 to {}", device, count - 1));
  cudaDeviceProp properties{};
  SEXTANT_CUDA(cudaGetDeviceProperties(&properties, device));
  std::array<char, 32> bus{};
  SEXTANT_CUDA(cudaDeviceGetPCIBusId(bus.data(), bus.size(), device));
  constexpr int ten = 10;
  return {properties.name,
          bus.data(),
          properties.multiProcessorCount,
          properties.major * ten + properties.minor,
          static_cast<std::size_t>(properties.l2CacheSize),
          properties.totalGlobalMem};
}

Bench::Bench(int device, const BenchOptions& options)
    : options_(options),
      device_number_(device),
      device_(select(device)),
      rates_(rates_of(device_.name)),
      monitor_(device_.bus_id),
      timer_(stream_, monitor_),
      blas_(load<Blas>(no_blas_)),
      cudnn_(load<Cudnn>(no_cudnn_)) {
  set_memory_aside();
}

void Bench::set_memory_aside() {
  std::size_t free = 0, total = 0;
  SEXTANT_CUDA(cudaMemGetInfo(&free, &total));
  constexpr double share_wide = 0.38, share_narrow = 0.2, share_scratch = 0.15;
  const auto part = [&](double share, std::size_t most) {
    return std::min(most, static_cast<std::size_t>(static_cast<double>(free) * share) / gibibyte * gibibyte);
  };
  wide_ = DeviceBuffer(part(share_wide, 36 * gibibyte));
  narrow_ = DeviceBuffer(part(share_narrow, 20 * gibibyte));
  scratch_ = DeviceBuffer(part(share_scratch, 12 * gibibyte));
  blas_workspace_ = DeviceBuffer(Gemm::workspace_bytes);
  one_ = DeviceBuffer(sizeof(float));
  fill_random(wide_.at(), wide_.bytes() / 2, Element::bf16, 1, 1, stream_);
  fill_random(narrow_.at(), narrow_.bytes(), Element::fp8, 1, 2, stream_);
  fill_random(scratch_.at(), scratch_.bytes() / 2, Element::bf16, 1, 3, stream_);
  const float one = 1;
  SEXTANT_CUDA(cudaMemcpyAsync(one_.at(), &one, sizeof one, cudaMemcpyHostToDevice, stream_));
  if (device_.capability >= 100) {
    constexpr int one_as_ue4m3 = 0x38;
    scales_ = DeviceBuffer(scale_bytes);
    SEXTANT_CUDA(cudaMemsetAsync(scales_.at(), one_as_ue4m3, scales_.bytes(), stream_));
  }
  stream_.wait();
}

const Blas& Bench::blas() const {
  if (!blas_) throw Error(ExitCode::failure, "skipped: " + no_blas_);
  return *blas_;
}

const Cudnn& Bench::cudnn() const {
  if (!cudnn_) throw Error(ExitCode::failure, "skipped: no cuDNN: " + no_cudnn_);
  return *cudnn_;
}

void Bench::look_ahead(const std::vector<Point>& points) {
  if (!cudnn_) return;
  std::vector<PrefillShape> shapes;
  for (const Point& point : points)
    if (const auto* row = std::get_if<AttentionPrefillRow>(&point.measurement.row))
      shapes.push_back(prefill_shape(*row));
  plans_ = std::make_unique<PrefillPlans>(device_number_, std::move(shapes));
}

std::unique_ptr<PrefillAttention> Bench::prefill_plan(const PrefillShape& shape) {
  const Cudnn& library = cudnn();
  if (plans_ && plans_->has(shape)) return plans_->take(shape);
  return std::make_unique<PrefillAttention>(library, shape);
}

Arena Bench::reader(Element element) const {
  // Random bf16 below 1 in magnitude are finite fp16 below 2; any bits are int8 or fp4.
  return Arena(element_bits(element) == 16 ? wide_ : narrow_);
}

Arena Bench::scratch() const {
  return Arena(scratch_);
}

const void* Bench::unit_block_scales(std::size_t bytes) const {
  if (bytes > scales_.bytes())
    throw Error(ExitCode::failure, fmt::format("skipped: block scales of {}, expected {} at most",
                                               bytes_text(static_cast<double>(bytes)),
                                               bytes_text(static_cast<double>(scales_.bytes()))));
  return scales_.at();
}

std::map<std::string, std::string> Bench::details() const {
  std::map<std::string, std::string> details = monitor_.nvml().details();
  int runtime = 0, driver = 0;
  cudaRuntimeGetVersion(&runtime);
  cudaDriverGetVersion(&driver);
  details["device"] = device_.name;
  details["cuda_runtime"] = std::to_string(runtime);
  details["cuda_driver"] = std::to_string(driver);
  details["cublaslt"] = blas_ ? blas_->version() : no_blas_;
  details["cudnn"] = cudnn_ ? std::to_string(cudnn_->version()) : no_cudnn_;
  details["multiprocessors"] = std::to_string(device_.multiprocessors);
  details["compute_capability"] = fmt::format("{}.{}", device_.capability / 10, device_.capability % 10);
  details["l2_bytes"] = std::to_string(device_.l2_bytes);
  details["memory_bytes"] = std::to_string(device_.memory_bytes);
  return details;
}

Bench::Result Bench::measure(const Point& point) {
  const MeasurementRow& row = point.measurement.row;
  if (const auto* gemm = std::get_if<GemmRow>(&row)) return bench_gemm(*this, *gemm);
  if (const auto* decode = std::get_if<AttentionDecodeRow>(&row)) return bench_decode(*this, *decode);
  if (const auto* prefill = std::get_if<AttentionPrefillRow>(&row)) return bench_prefill(*this, *prefill);
  if (const auto* moe = std::get_if<MoeRow>(&row)) return bench_moe(*this, *moe);
  if (const auto* power = std::get_if<PowerRow>(&row)) return bench_power(*this, *power);
  if (const auto* copy = std::get_if<CopyRow>(&row))
    return bench_copy(*this, *copy, point.family == "copy/pageable");
  if (const auto* elementwise = std::get_if<ElementwiseRow>(&row))
    return point.family == "launch" ? bench_launch(*this, elementwise->op)
                                    : bench_elementwise(*this, *elementwise);
  throw Error(ExitCode::failure, "skipped: no operator of family " + point.family);
}

std::string Rotation::note() const {
  return buffers > 1 ? fmt::format("; rotated over {} buffers", buffers) : "";
}

Rotation rotation(const Bench& bench, std::size_t streamed_bytes, std::size_t available,
                  double rough_seconds) {
  constexpr std::size_t times_l2 = 3, most_buffers = 192;
  constexpr double graph_seconds = 0.0005;
  constexpr int most_operations = 256;
  const std::size_t wanted =
      times_l2 * bench.device().l2_bytes / std::max<std::size_t>(streamed_bytes, 1) + 1;
  const std::size_t room = available / std::max<std::size_t>(streamed_bytes, 1);
  Rotation result;
  result.buffers =
      static_cast<int>(std::clamp<std::size_t>(wanted, 1, std::clamp<std::size_t>(room, 1, most_buffers)));
  const int to_fill = static_cast<int>(std::ceil(graph_seconds / rough_seconds));
  const int rounds = (std::clamp(to_fill, 1, most_operations) + result.buffers - 1) / result.buffers;
  result.operations = result.buffers * std::max(rounds, 1);
  return result;
}

}  // namespace sextant::measure
