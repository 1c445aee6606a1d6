//===- CommandLine.cpp - options of the tools -----------------------------===//
#include "CommandLine.h"

#include <cerrno>
#include <cstdlib>
#include <sstream>

namespace sage::evaluation {

std::string parseInteger(const std::string &text, int64_t least, int64_t &result) {
  char *end;
  errno = 0;
  long long value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end || errno || value < least)
    return "an integer of at least " + std::to_string(least);
  result = value;
  return {};
}

std::string parseShape(const std::string &text, CallShape &shape) {
  std::istringstream stream(text);
  std::string part;
  size_t count = 0;
  while (std::getline(stream, part, ','))
    if (count == 5 || !parseInteger(part, 0, shape[count++]).empty())
      return "B,Hq,Hkv,Nq,Nk: five integers of at least 0";
  return count == 5 ? "" : "B,Hq,Hkv,Nq,Nk: five integers of at least 0";
}

Option textOption(const char *name, const char *value, std::string help, std::string &result) {
  return {name, value, std::move(help), [&result](const std::string &text) {
            result = text;
            return text.empty() ? std::string("not empty") : std::string();
          }};
}

Option flag(const char *name, std::string help, bool &result) {
  return {name, nullptr, std::move(help), [&result](const std::string &) {
            result = true;
            return std::string();
          }};
}

Option choiceOption(const char *name, std::string help, std::vector<std::string> names,
                    std::function<void(int)> assign) {
  std::string all;
  for (const std::string &candidate : names)
    all += (all.empty() ? "" : ", ") + candidate;
  return {name, "NAME", help + ": " + all,
          [names = std::move(names), all, assign = std::move(assign)](const std::string &text) {
            for (size_t i = 0; i < names.size(); ++i)
              if (names[i] == text) {
                assign(int(i));
                return std::string();
              }
            return "one of " + all;
          }};
}

static std::string acceptedNames(const std::vector<Option> &table) {
  std::string all;
  for (const Option &option : table)
    all += std::string(all.empty() ? "" : ", ") + "--" + option.name;
  return all;
}

std::string parseCommandLine(int count, const char *const *arguments,
                             const std::vector<Option> &table,
                             const std::function<std::string(const std::string &)> &positional) {
  for (int i = 1; i < count; ++i) {
    std::string argument = arguments[i];
    if (argument.rfind("--", 0) != 0) {
      if (std::string wrong = positional(argument); !wrong.empty())
        return wrong;
      continue;
    }
    size_t equals = argument.find('=');
    std::string name = argument.substr(2, equals - 2), value;
    const Option *found = nullptr;
    for (const Option &option : table)
      if (option.name == name)
        found = &option;
    if (!found)
      return "unknown option '--" + name + "'; accepted: " + acceptedNames(table);
    if (equals != std::string::npos)
      value = argument.substr(equals + 1);
    else if (found->value && i + 1 < count)
      value = arguments[++i];
    if (!found->value && equals != std::string::npos)
      return "--" + name + " takes no value";
    if (std::string wrong = found->parse(value); !wrong.empty())
      return "--" + name + " must be " + wrong + ", but got '" + value + "'";
  }
  return {};
}

std::string describeOptions(const std::vector<Option> &table) {
  std::ostringstream out;
  out << "An option's value follows after '=' or as the next word.\n\n";
  for (const Option &option : table) {
    out << "  --" << option.name;
    if (option.value)
      out << "=" << option.value;
    out << "\n        " << option.help << "\n";
  }
  return out.str();
}

} // namespace sage::evaluation
