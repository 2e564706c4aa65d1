#pragma once
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

// The C++ library of Debian 12's Emscripten reads no floating-point numbers with from_chars. Not for other
// builds.
namespace std {

inline from_chars_result from_chars(const char* first, const char* last, double& value) {
  const string text(first, last);
  char* end = nullptr;
  const double read = strtod(text.c_str(), &end);
  if (end == text.c_str() || text.front() == '+' || isspace(static_cast<unsigned char>(text.front())))
    return {first, errc::invalid_argument};
  if (isinf(read)) return {first + (end - text.c_str()), errc::result_out_of_range};
  value = read;
  return {first + (end - text.c_str()), errc()};
}

}  // namespace std
