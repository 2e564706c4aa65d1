#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace sextant::rdma {

/// Fills with bytes that depend on seed and place, so that data of another run, another queue pair or another
/// offset cannot pass for these.
void fill_pattern(std::uint64_t seed, std::span<std::byte> data);

/// 64 bits over all bytes. Each step maps the sum so far one to one, so a single changed byte always shows.
std::uint64_t checksum(std::span<const std::byte> data);

}  // namespace sextant::rdma
