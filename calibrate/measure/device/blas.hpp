#pragma once
#include <cublasLt.h>

#include <cstdint>
#include <string>
#include <vector>

#include "calibrate/measure/device/fill.hpp"
#include "calibrate/measure/device/shared_library.hpp"

namespace sextant::measure {

/// cuBLASLt, loaded at run time, with one handle.
class Blas {
 public:
  Blas();
  ~Blas();
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;
  std::string version() const;

 private:
  friend class Gemm;
  SharedLibrary library_;
  decltype(&cublasLtCreate) create_ = nullptr;
  decltype(&cublasLtDestroy) destroy_ = nullptr;
  decltype(&cublasLtGetVersion) get_version_ = nullptr;
  decltype(&cublasLtMatmul) matmul_ = nullptr;
  decltype(&cublasLtMatmulDescCreate) desc_create_ = nullptr;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy_ = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set_ = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) layout_create_ = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy_ = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create_ = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy_ = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set_ = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic_ = nullptr;
  cublasLtHandle_t handle_ = nullptr;
};

/// The number types a GEMM computes with, as the `dtype` of its row.
enum class GemmType { bf16, fp16, fp8, int8, nvfp4 };
/// Throws InputError for a word that is none of them.
GemmType gemm_type(const std::string& dtype);
std::string to_string(GemmType);
Element element_of(GemmType);
/// Bytes of an element of the output: 2 (bf16, fp16), of int8 4 (int32).
int output_element_bytes(GemmType);
/// Bytes of `rows` x `columns` inputs or weights, without block scales.
std::size_t matrix_bytes(GemmType, std::int64_t rows, std::int64_t columns);
/// Bytes of the block scales of such a matrix, tiles padded as cuBLASLt wants them; 0 but for nvfp4.
std::size_t block_scale_bytes(GemmType, std::int64_t rows, std::int64_t columns);

/// The memory one product works in. Scales: one fp32 number (fp8), block scales (nvfp4), unused otherwise.
struct GemmOperands {
  const void* input = nullptr;
  const void* weight = nullptr;
  void* output = nullptr;
  const void* input_scale = nullptr;
  const void* weight_scale = nullptr;
};

/// out[m, n] = in[m, k] * weight[n, k]^T through cuBLASLt, all matrices row by row.
class Gemm {
 public:
  static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  ///< cuBLAS's own size on Hopper

  /// Asks the heuristics for up to `algorithms`, of which serving engines take the first. Throws Error where
  /// the library has none for this type and shape. `workspace`: workspace_bytes on the device.
  Gemm(const Blas&, GemmType, std::int64_t m, std::int64_t n, std::int64_t k, void* workspace,
       int algorithms = 1);
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;
  int algorithms() const { return static_cast<int>(found_.size()); }
  void choose(int algorithm) { chosen_ = static_cast<std::size_t>(algorithm); }
  void run(const GemmOperands&, cudaStream_t);

 private:
  void set(cublasLtMatmulDescAttributes_t, const void* value, std::size_t size);
  void find_algorithms(int most);
  void release();
  const Blas& blas_;
  GemmType type_;
  std::int64_t m_, n_, k_;
  void* workspace_;
  cublasLtMatmulDesc_t description_ = nullptr;
  cublasLtMatrixLayout_t weight_ = nullptr, input_ = nullptr, output_ = nullptr;
  std::vector<cublasLtMatmulHeuristicResult_t> found_;
  std::size_t chosen_ = 0;
};

}  // namespace sextant::measure
