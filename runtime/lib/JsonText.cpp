//===- JsonText.cpp - JSON that may be damaged ----------------------------===//
#include "JsonText.h"

namespace sage::runtime {

static size_t nestingDepth(std::string_view text) {
  size_t depth = 0, deepest = 0;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        inString = false;
    } else if (c == '"') {
      inString = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

Status parseJson(std::string_view text, nlohmann::json &result) {
  if (nestingDepth(text) > jsonDepthLimit)
    return invalidArtifact("JSON must be nested at most ", jsonDepthLimit, " deep");
  result = nlohmann::json::parse(text.begin(), text.end(), nullptr,
                                 /*allow_exceptions=*/false);
  if (result.is_discarded())
    return invalidArtifact("JSON does not parse");
  return {};
}

std::string shortText(const nlohmann::json &json) {
  constexpr size_t limit = 60;
  std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.size() > limit ? text.substr(0, limit) + "…" : text;
}

} // namespace sage::runtime
