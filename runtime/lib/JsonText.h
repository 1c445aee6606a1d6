//===- JsonText.h - JSON that may be damaged --------------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_JSONTEXT_H
#define SAGE_RUNTIME_LIB_JSONTEXT_H

#include "Status.h"

#include <nlohmann/json.hpp>
#include <string_view>

namespace sage::runtime {

/// Parses one JSON value. Refuses nesting deeper than `jsonDepthLimit` before
/// it builds anything, so that hostile text exhausts no stack.
constexpr size_t jsonDepthLimit = 48;
Status parseJson(std::string_view text, nlohmann::json &result);

/// The value as it would appear in an error: cut off, with invalid UTF-8
/// replaced.
std::string shortText(const nlohmann::json &json);

} // namespace sage::runtime

#endif
