// What the page calls: text goes in at explorer_room(bytes), an answer comes out at the address that a call
// returns, as UTF-8 that ends with a zero byte: JSON, {"error": MESSAGE} where there is no answer.
#include <emscripten/emscripten.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "reports/explorer/browser/page_files.hpp"
#include "reports/explorer/explorer.hpp"

namespace {

struct Page {
  std::string text, result;
  std::unique_ptr<sextant::Explorer> explorer;
};

Page& page() {
  static Page instance;
  return instance;
}

template <class Work>
const char* answered(const Work& work) {
  try {
    page().result = work();
  } catch (const std::exception& error) {
    page().result = nlohmann::json({{"error", error.what()}})
                        .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  return page().result.c_str();
}

}  // namespace

extern "C" {

EMSCRIPTEN_KEEPALIVE char* explorer_room(unsigned bytes) {
  page().text.resize(bytes);
  return page().text.data();
}

/// {"files": {path: text}, "question": {…}}
EMSCRIPTEN_KEEPALIVE const char* explorer_open() {
  return answered([] {
    const nlohmann::json given = nlohmann::json::parse(page().text);
    for (const auto& [path, text] : given.at("files").items()) sextant::page_files()[path] = text;
    page().explorer = std::make_unique<sextant::Explorer>(given.at("question").dump());
    return std::string("{}");
  });
}

/// A point, as Explorer::answer takes it.
EMSCRIPTEN_KEEPALIVE const char* explorer_answer() {
  return answered([] { return page().explorer->answer(page().text); });
}
}
