#pragma once
#include <optional>
#include <string>
#include <vector>

namespace sextant {

/// A copy of /sys or /dev as hostile input: reads little, follows no pipe or device, and never throws for
/// what it finds.
class FileTree {
 public:
  explicit FileTree(std::string root) : root_(std::move(root)) {}

  /// The first line of a small text file without blanks around it; nullopt if it is missing, unreadable,
  /// special or not text.
  std::optional<std::string> line(const std::string& path) const;
  /// A whole number of at most nine digits, perhaps negative or in hexadecimal (0x…).
  std::optional<int> number(const std::string& path) const;
  /// Names in a folder, sorted, at most 4,096; empty if it is none.
  std::vector<std::string> names(const std::string& path) const;
  bool folder(const std::string& path) const;
  /// The last part of what a symbolic link points to; empty if it is none.
  std::string link_target(const std::string& path) const;
  /// Permission bits; nullopt if it is not there.
  std::optional<unsigned> mode(const std::string& path) const;

 private:
  std::string at(const std::string& path) const { return root_ + "/" + path; }
  std::string root_;
};

}  // namespace sextant
