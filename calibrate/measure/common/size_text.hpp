#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sextant::measure {

/// "8", "64K", "1M", "2G" (powers of 1024, as nccl-tests reads them; lower case allowed).
/// Throws InputError naming `option`.
std::int64_t parse_size(std::string_view text, std::string_view option);
/// The shortest text that parse_size gives back: 65536 -> "64K", 1000 -> "1000".
std::string size_text(std::int64_t value);
/// "1,2,8K" -> {1, 2, 8192}; each at least `least`. Throws InputError naming `option`.
std::vector<std::int64_t> parse_size_list(std::string_view text, std::string_view option,
                                          std::int64_t least = 1);
/// 12 345 678 B -> "11.8 MiB".
std::string bytes_text(double bytes);
/// 75 s -> "1 min 15 s".
std::string duration_text(double seconds);

}  // namespace sextant::measure
