#pragma once
#include <string>
#include <vector>

namespace sextant::measure {

/// A library that is loaded when it is first needed, so that the executable starts without it and can say
/// what is missing. Stays loaded until the process ends.
class SharedLibrary {
 public:
  /// Tries each name as the loader finds it, then in the usual folders of a CUDA installation and of
  /// CUDA_HOME. Throws Error naming the names if none can be loaded.
  explicit SharedLibrary(const std::vector<std::string>& names);
  /// Throws Error if the library has no such function.
  template <class Function>
  void find(Function& function, const char* name) const {
    function = reinterpret_cast<Function>(symbol(name, true));
  }
  /// The same, leaving nullptr where there is none.
  template <class Function>
  void find_optional(Function& function, const char* name) const {
    function = reinterpret_cast<Function>(symbol(name, false));
  }
  const std::string& name() const { return name_; }

 private:
  void* symbol(const char* name, bool required) const;
  void* handle_ = nullptr;
  std::string name_;
};

}  // namespace sextant::measure
