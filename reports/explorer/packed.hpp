#pragma once
#include <string>
#include <string_view>

namespace sextant {

/// Bytes as a gzip stream, without a time in it: the same bytes give the same stream.
std::string gzipped(std::string_view);

/// Bytes as base64 (RFC 4648), padded.
std::string base64(std::string_view);

}  // namespace sextant
