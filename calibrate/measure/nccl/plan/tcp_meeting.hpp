#pragma once
#include <string>

namespace sextant::nccl {

/// Rank 0 listens on `port` and answers each of the other ranks of the same generation once with the payload;
/// these connect to `host` until it answers. Returns the payload in every process; throws Error after
/// `patience_seconds`.
std::string share_over_tcp(const std::string& host, int port, int rank, int size, int generation,
                           const std::string& payload, double patience_seconds);

}  // namespace sextant::nccl
