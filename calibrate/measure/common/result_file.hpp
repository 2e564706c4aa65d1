#pragma once
#include <cstddef>
#include <cstdio>
#include <memory>
#include <set>
#include <string>

#include "models/profile/measurement.hpp"

namespace sextant::measure {

/// What tells one measured point from another: the row without what was measured (us, ms, stage_ms, gbps,
/// busbw ...) and without source and note.
std::string row_identity(const Measurement&);

/// A measurement file being written: every line complete in itself and on disk once append returns, so that
/// an interrupted run keeps what it has. Never overwrites.
class ResultFile {
 public:
  enum class Existing {
    refuse,  ///< a file that is there already is an InputError
    resume,  ///< keep its rows and add to them; half a last line is cut off
  };
  /// "-" writes to stdout. Throws InputError for a file that exists (refuse) or is no measurement file
  /// (resume), Error if it cannot be written.
  ResultFile(std::string path, Existing);

  /// Whether a row of the same identity is in the file already.
  bool has(const Measurement&) const;
  /// Throws Error if the disk is full.
  void append(const Measurement&);
  /// A line that is no row to be found again: the context header. `json` without line end.
  void append_line(const std::string& json);
  /// Rows (not context lines) found when the file was opened.
  std::size_t resumed() const { return resumed_; }
  std::size_t appended() const { return appended_; }
  const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const;
  };
  void read_existing();
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::set<std::string> known_;
  std::size_t resumed_ = 0;
  std::size_t appended_ = 0;
};

}  // namespace sextant::measure
