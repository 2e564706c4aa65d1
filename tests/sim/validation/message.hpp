#pragma once
#include <functional>
#include <string>

#include "models/base/error.hpp"

namespace sextant {

/// What an InputError says; "no error" if there is none.
inline std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace sextant
