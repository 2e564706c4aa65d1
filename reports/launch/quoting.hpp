#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace sextant {

/// A word as bash reads it back unchanged: bare where it is letters, digits and harmless signs, else quoted;
/// control characters as $'\xNN'.
std::string shell_word(std::string_view text);

/// Words of a command with blanks between; where a line grows beyond 100 columns it goes on in the next.
std::string shell_command(const std::vector<std::string>& words, std::string_view indent = "  ");

/// Text as comment lines, each with "# " in front; nothing in it can end the comment.
std::string shell_comment(std::string_view text);

/// A name that Kubernetes accepts (RFC 1123): lower case letters, digits and dashes, 40 at most; what a name
/// has besides becomes dashes.
std::string kubernetes_name(std::string_view text);

/// Text as Kubernetes reads it back unchanged in args and env, where $(X) is replaced otherwise.
std::string kubernetes_text(std::string_view text);

}  // namespace sextant
