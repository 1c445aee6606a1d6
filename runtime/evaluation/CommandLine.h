//===- CommandLine.h - options of the tools ---------------------*- C++ -*-===//
// An option's value follows after '=' or as the next word. Functions that parse return an
// empty text, or what is wrong.
//===----------------------------------------------------------------------===//
#ifndef SAGE_EVALUATION_COMMANDLINE_H
#define SAGE_EVALUATION_COMMANDLINE_H

#include "MaskInputs.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sage::evaluation {

/// `parse` returns an empty text, or what the value must be.
struct Option {
  const char *name;
  const char *value; ///< what it is; null: a flag
  std::string help;
  std::function<std::string(const std::string &)> parse;
};

/// `positional` takes what is no option.
std::string parseCommandLine(int count, const char *const *arguments,
                             const std::vector<Option> &table,
                             const std::function<std::string(const std::string &)> &positional);
/// Two lines an option, and how values are given.
std::string describeOptions(const std::vector<Option> &table);

std::string parseInteger(const std::string &text, int64_t least, int64_t &result);
/// `B,Hq,Hkv,Nq,Nk`.
std::string parseShape(const std::string &text, CallShape &shape);

Option textOption(const char *name, const char *value, std::string help, std::string &result);
Option flag(const char *name, std::string help, bool &result);

template <typename Value>
Option integerOption(const char *name, const char *value, std::string help, int64_t least,
                     Value &result) {
  return {name, value, std::move(help), [least, &result](const auto &text) {
            int64_t parsed = 0;
            std::string wrong = parseInteger(text, least, parsed);
            if (wrong.empty())
              result = static_cast<Value>(parsed);
            return wrong;
          }};
}

/// One of `names`; `assign` takes the index.
Option choiceOption(const char *name, std::string help, std::vector<std::string> names,
                    std::function<void(int)> assign);

template <typename Enumeration>
Option enumOption(const char *name, std::string help, std::vector<std::string> names,
                  std::optional<Enumeration> &result) {
  return choiceOption(name, std::move(help), std::move(names),
                      [&result](int index) { result = static_cast<Enumeration>(index); });
}

} // namespace sage::evaluation

#endif
