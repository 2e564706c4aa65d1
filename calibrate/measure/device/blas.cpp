#include "calibrate/measure/device/blas.hpp"

#include <fmt/core.h>

#include <array>

#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw Error(ExitCode::failure, fmt::format("{}: cublas status {}", call, static_cast<int>(status)));
}

struct TypeWord {
  GemmType type;
  const char* word;
};
constexpr std::array type_words = {TypeWord{GemmType::bf16, "bf16"}, TypeWord{GemmType::fp16, "fp16"},
                                   TypeWord{GemmType::fp8, "fp8"}, TypeWord{GemmType::int8, "int8"},
                                   TypeWord{GemmType::nvfp4, "nvfp4"}};

cudaDataType_t input_type(GemmType type) {
  switch (type) {
    case GemmType::bf16:
      return CUDA_R_16BF;
    case GemmType::fp16:
      return CUDA_R_16F;
    case GemmType::fp8:
      return CUDA_R_8F_E4M3;
    case GemmType::int8:
      return CUDA_R_8I;
    case GemmType::nvfp4:
      return CUDA_R_4F_E2M1;
  }
  return CUDA_R_16BF;
}

cudaDataType_t result_type(GemmType type) {
  if (type == GemmType::int8) return CUDA_R_32I;
  return type == GemmType::fp16 ? CUDA_R_16F : CUDA_R_16BF;
}

std::int64_t round_up(std::int64_t value, std::int64_t step) {
  return (value + step - 1) / step * step;
}

}  // namespace

GemmType gemm_type(const std::string& dtype) {
  for (const TypeWord& entry : type_words)
    if (dtype == entry.word) return entry.type;
  throw InputError(fmt::format("found gemm type '{}', expected bf16, fp16, fp8, int8 or nvfp4", dtype));
}

std::string to_string(GemmType type) {
  return type_words[static_cast<std::size_t>(type)].word;
}

Element element_of(GemmType type) {
  constexpr std::array elements = {Element::bf16, Element::fp16, Element::fp8, Element::int8, Element::fp4};
  return elements[static_cast<std::size_t>(type)];
}

int output_element_bytes(GemmType type) {
  return type == GemmType::int8 ? 4 : 2;
}

std::size_t matrix_bytes(GemmType type, std::int64_t rows, std::int64_t columns) {
  constexpr int bits_per_byte = 8;
  return static_cast<std::size_t>(rows * columns * element_bits(element_of(type)) / bits_per_byte);
}

// cuBLASLt keeps the scales of 128 rows x 4 groups of 16 elements together: the "128x4" layout of
// https://docs.nvidia.com/cuda/cublas/#d-block-scaling-factors-layout
std::size_t block_scale_bytes(GemmType type, std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t tile_rows = 128, tile_groups = 4, group = 16;
  if (type != GemmType::nvfp4) return 0;
  return static_cast<std::size_t>(round_up(rows, tile_rows) *
                                  round_up((columns + group - 1) / group, tile_groups));
}

Blas::Blas() : library_({"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"}) {
  library_.find(create_, "cublasLtCreate");
  library_.find(destroy_, "cublasLtDestroy");
  library_.find(get_version_, "cublasLtGetVersion");
  library_.find(matmul_, "cublasLtMatmul");
  library_.find(desc_create_, "cublasLtMatmulDescCreate");
  library_.find(desc_destroy_, "cublasLtMatmulDescDestroy");
  library_.find(desc_set_, "cublasLtMatmulDescSetAttribute");
  library_.find(layout_create_, "cublasLtMatrixLayoutCreate");
  library_.find(layout_destroy_, "cublasLtMatrixLayoutDestroy");
  library_.find(preference_create_, "cublasLtMatmulPreferenceCreate");
  library_.find(preference_destroy_, "cublasLtMatmulPreferenceDestroy");
  library_.find(preference_set_, "cublasLtMatmulPreferenceSetAttribute");
  library_.find(heuristic_, "cublasLtMatmulAlgoGetHeuristic");
  check(create_(&handle_), "cublasLtCreate");
}

Blas::~Blas() {
  if (handle_ != nullptr) destroy_(handle_);
}

std::string Blas::version() const {
  return std::to_string(get_version_());
}

Gemm::Gemm(const Blas& blas, GemmType type, std::int64_t m, std::int64_t n, std::int64_t k, void* workspace,
           int algorithms)
    : blas_(blas), type_(type), m_(m), n_(n), k_(k), workspace_(workspace) {
  // cuBLASLt counts columns first: its output is out^T[n, m] = weight[n, k] * in^T[k, m].
  const bool integer = type == GemmType::int8;
  const auto rows = [](std::int64_t value) { return static_cast<std::uint64_t>(value); };
  try {
    check(blas_.desc_create_(&description_, integer ? CUBLAS_COMPUTE_32I : CUBLAS_COMPUTE_32F,
                             integer ? CUDA_R_32I : CUDA_R_32F),
          "cublasLtMatmulDescCreate");
    const cublasOperation_t transposed = CUBLAS_OP_T, plain = CUBLAS_OP_N;
    set(CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed);
    set(CUBLASLT_MATMUL_DESC_TRANSB, &plain, sizeof plain);
    if (type == GemmType::nvfp4) {
      const cublasLtMatmulMatrixScale_t mode = CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3;
      set(CUBLASLT_MATMUL_DESC_A_SCALE_MODE, &mode, sizeof mode);
      set(CUBLASLT_MATMUL_DESC_B_SCALE_MODE, &mode, sizeof mode);
    }
    check(blas_.layout_create_(&weight_, input_type(type), rows(k), rows(n), k),
          "cublasLtMatrixLayoutCreate");
    check(blas_.layout_create_(&input_, input_type(type), rows(k), rows(m), k), "cublasLtMatrixLayoutCreate");
    check(blas_.layout_create_(&output_, result_type(type), rows(n), rows(m), n),
          "cublasLtMatrixLayoutCreate");
    find_algorithms(algorithms);
  } catch (...) {
    release();
    throw;
  }
}

Gemm::~Gemm() {
  release();
}

void Gemm::release() {
  if (output_ != nullptr) blas_.layout_destroy_(output_);
  if (input_ != nullptr) blas_.layout_destroy_(input_);
  if (weight_ != nullptr) blas_.layout_destroy_(weight_);
  if (description_ != nullptr) blas_.desc_destroy_(description_);
  output_ = input_ = weight_ = nullptr;
  description_ = nullptr;
}

void Gemm::set(cublasLtMatmulDescAttributes_t attribute, const void* value, std::size_t size) {
  check(blas_.desc_set_(description_, attribute, value, size), "cublasLtMatmulDescSetAttribute");
}

void Gemm::find_algorithms(int most) {
  cublasLtMatmulPreference_t preference = nullptr;
  check(blas_.preference_create_(&preference), "cublasLtMatmulPreferenceCreate");
  const std::size_t workspace = workspace_bytes;
  blas_.preference_set_(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
  found_.resize(static_cast<std::size_t>(most));
  int count = 0;
  // Scale pointers must be known to the heuristics of scaled types; any address of the right alignment does.
  if (type_ == GemmType::fp8 || type_ == GemmType::nvfp4) {
    set(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &workspace_, sizeof workspace_);
    set(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &workspace_, sizeof workspace_);
  }
  const cublasStatus_t status = blas_.heuristic_(blas_.handle_, description_, weight_, input_, output_,
                                                 output_, preference, most, found_.data(), &count);
  blas_.preference_destroy_(preference);
  found_.resize(static_cast<std::size_t>(status == CUBLAS_STATUS_SUCCESS ? count : 0));
  std::erase_if(found_, [](const auto& result) { return result.state != CUBLAS_STATUS_SUCCESS; });
  if (found_.empty())
    throw Error(ExitCode::failure,
                fmt::format("skipped: cublasLt has no {} algorithm for m {} n {} k {} (status {})",
                            to_string(type_), m_, n_, k_, static_cast<int>(status)));
}

void Gemm::run(const GemmOperands& operands, cudaStream_t stream) {
  if (type_ == GemmType::fp8 || type_ == GemmType::nvfp4) {
    set(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &operands.weight_scale, sizeof operands.weight_scale);
    set(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &operands.input_scale, sizeof operands.input_scale);
  }
  const float one = 1, zero = 0;
  const std::int32_t integer_one = 1, integer_zero = 0;
  const bool integer = type_ == GemmType::int8;
  check(blas_.matmul_(blas_.handle_, description_, integer ? static_cast<const void*>(&integer_one) : &one,
                      operands.weight, weight_, operands.input, input_,
                      integer ? static_cast<const void*>(&integer_zero) : &zero, operands.output, output_,
                      operands.output, output_, &found_[chosen_].algo, workspace_, workspace_bytes, stream),
        "cublasLtMatmul");
}

}  // namespace sextant::measure
