//===- Options.cpp - the command line of sage-run -------------------------===//
#include "Options.h"

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <sstream>
#include <vector>

namespace sage::run {
namespace {

/// `parse` returns an empty text, or what the value must be.
struct Option {
  const char *name;
  const char *value; // null: a flag
  std::string help;
  std::function<std::string(const std::string &)> parse;
};

std::string parseInteger(const std::string &text, int64_t least, int64_t &result) {
  char *end;
  errno = 0;
  long long value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end || errno || value < least)
    return "an integer of at least " + std::to_string(least);
  result = value;
  return {};
}

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

/// One of `names`; the result is the index.
template <typename Target>
Option choiceOption(const char *name, std::string help, std::vector<std::string> names,
                    Target &result, std::function<void(Target &, int)> assign) {
  std::string all;
  for (const std::string &candidate : names)
    all += (all.empty() ? "" : ", ") + candidate;
  return {name, "NAME", help + ": " + all, [names, all, &result, assign](const std::string &text) {
            for (size_t i = 0; i < names.size(); ++i)
              if (names[i] == text) {
                assign(result, int(i));
                return std::string();
              }
            return "one of " + all;
          }};
}

template <typename Enumeration>
Option enumOption(const char *name, std::string help, std::vector<std::string> names,
                  std::optional<Enumeration> &result) {
  return choiceOption<std::optional<Enumeration>>(
      name, std::move(help), std::move(names), result,
      [](std::optional<Enumeration> &target, int index) {
        target = static_cast<Enumeration>(index);
      });
}

std::string parseShape(const std::string &text, std::optional<std::array<int64_t, 5>> &shape) {
  std::array<int64_t, 5> parsed{};
  std::istringstream stream(text);
  std::string part;
  size_t count = 0;
  while (std::getline(stream, part, ','))
    if (count == 5 || !parseInteger(part, 0, parsed[count++]).empty())
      return "B,Hq,Hkv,Nq,Nk: five integers of at least 0";
  if (count != 5)
    return "B,Hq,Hkv,Nq,Nk: five integers of at least 0";
  shape = parsed;
  return {};
}

std::string parseDevice(const std::string &text, std::optional<int32_t> &device) {
  device.reset();
  if (text == "cpu")
    return {};
  int64_t ordinal = 0;
  if (text.rfind("cuda:", 0) != 0 || !parseInteger(text.substr(5), 0, ordinal).empty())
    return "cpu or cuda:N";
  device = int32_t(ordinal);
  return {};
}

std::string parseSoftcap(const std::string &text, std::optional<double> &softcap) {
  char *end;
  softcap = std::strtod(text.c_str(), &end);
  bool fits = !text.empty() && !*end && *softcap >= 0x1p-64 && *softcap <= 0x1p64;
  return fits ? "" : "a number from 2^-64 to 2^64";
}

std::string parseSmooth(const std::string &text, std::optional<std::string> &smooth) {
  smooth = text == "none" ? "" : text;
  bool known = !text.empty() && smooth->find_first_not_of("qkv") == std::string::npos;
  return known ? "" : "none, or some of the letters q, k and v";
}

Option lengthOption(const char *name, std::string help, std::optional<int64_t> &result) {
  return {name, "N", std::move(help), [&result](const std::string &text) {
            int64_t parsed = 0;
            std::string wrong = parseInteger(text, 0, parsed);
            result = parsed;
            return wrong;
          }};
}

/// Masks, biases, lengths and sequences (Spec N13 to N17).
std::vector<Option> maskOptions(Options &o) {
  return {
      enumOption("mask", "with --recipe",
                 {"none", "causal_top_left", "causal_bottom_right", "window_top_left",
                  "window_bottom_right"},
                 o.mask),
      lengthOption("window-left", "with --recipe: keys before its own that a query sees",
                   o.windowLeft),
      lengthOption("window-right", "with --recipe: keys after its own, with a window mask",
                   o.windowRight),
      lengthOption("sink-tokens", "with --recipe: leading keys that --window-left does not hide",
                   o.sinkTokens),
      {"softcap", "X", "with --recipe: limits the scores to ±X",
       [&o](const auto &text) { return parseSoftcap(text, o.softcap); }},
      enumOption("bias", "with --recipe: a bias of that type; an artifact has its own",
                 {"f16", "bf16", "f32", "bool"}, o.bias),
      textOption("bias-file", "F.npy",
                 "the bias: 1 or B × 1 or Hq × 1 or Nq × 1 or Nk; default: random",
                 o.operands.biasFile),
      {"bias-axes", "LETTERS",
       "extents of the random bias that are not 1: none, or some of the letters b, h, q and k "
       "(default qk)",
       [&o](const auto &text) { return evaluation::parseBiasAxes(text, o.operands.biasAxes); }},
      {"key-lengths", "N,N,…",
       "keys of each batch entry; with an artifact that has them the default is random",
       [&o](const auto &text) {
         o.operands.keyLengths.emplace();
         return evaluation::parseLengths(text, *o.operands.keyLengths);
       }},
      {"sequences", "Q:K,Q:K,…",
       "queries and keys of each packed sequence (N stands for N:N), in a batch of 1; with an "
       "artifact that has them the default is four of random lengths",
       [&o](const auto &text) {
         o.operands.sequences.emplace();
         return evaluation::parseSequences(text, *o.operands.sequences);
       }},
      {"sinks", "X,X,…|random", "sinks, one for each query head; an artifact's default is random",
       [&o](const auto &text) {
         o.sinks = true;
         if (text == "random")
           return std::string();
         o.operands.sinks.emplace();
         return evaluation::parseSinks(text, *o.operands.sinks);
       }},
  };
}

std::vector<Option> optionTable(Options &o) {
  using evaluation::inputDistributionNames;
  std::vector<Option> table = {
      {"device", "cpu|cuda:N", "where to run: the CPU reference (default), or a GPU",
       [&o](const auto &text) { return parseDevice(text, o.device); }},
      {"shape", "B,Hq,Hkv,Nq,Nk",
       "extents of random inputs; default: the artifact's, with 1,8,8,1024,1024 "
       "where it takes any",
       [&o](const auto &text) { return parseShape(text, o.shape); }},
      {"inputs", "NAME", "random inputs: " + inputDistributionNames() + " (default normal)",
       [&o](const auto &text) {
         return evaluation::parseInputDistribution(text, o.inputs)
                    ? std::string()
                    : "one of " + inputDistributionNames();
       }},
      integerOption("seed", "S", "seed of the random inputs (default 0)", 0, o.seed),
      textOption("query", "F.npy",
                 "B×Hq×Nq×D: float16, float32 or float64, or "
                 "bfloat16 as uint16; rounded to the element type",
                 o.query),
      textOption("key", "F.npy", "B×Hkv×Nk×D", o.key),
      textOption("value", "F.npy", "B×Hkv×Nk×Dv", o.value),
      textOption("output", "F.npy",
                 "write O: B×Hq×Nq×Dv, float16 (bfloat16 as "
                 "uint16)",
                 o.output),
      textOption("lse", "F.npy", "write the log-sum-exp: B×Hq×Nq, float32", o.lse),
      flag("check",
           "compare with float64 attention and, from a GPU, with the "
           "CPU reference (minutes for long sequences)",
           o.check),
      flag("tensor-core-accumulator",
           "the CPU reference adds P·V into 22 bits, "
           "as FP8 tensor cores do",
           o.tensorCoreAccumulator),
      integerOption("repeat", "R",
                    "timed launches on a GPU; the median is "
                    "printed (default 20)",
                    1, o.repeat),
      integerOption("threads", "T", "CPU threads (default: all cores)", 1, o.threads),
      textOption("cache-dir", "DIR", "folder for assembled code", o.cacheDir),
      textOption("driver", "PATH",
                 "the CUDA driver library (default "
                 "libcuda.so.1)",
                 o.driver),
      flag("json", "print one JSON object", o.json),
      flag("quiet", "no progress on standard error", o.quiet),
      choiceOption<std::string>("recipe", "instead of an artifact, on the CPU",
                                {"sage2-8b", "sage2-4b", "sage1", "sage2pp", "f16"}, o.recipe,
                                [](std::string &target, int index) {
                                  static const char *const names[] = {"sage2-8b", "sage2-4b",
                                                                      "sage1", "sage2pp", "f16"};
                                  target = names[index];
                                }),
      choiceOption<sage_fragment>("fragment",
                                  "with --recipe: whose lanes the scale groups follow "
                                  "(default wgmma)",
                                  {"mma-sync-16", "mma-sync-32", "wgmma"}, o.fragment,
                                  [](sage_fragment &target, int i) { target = sage_fragment(i); }),
      enumOption("granularity", "with --recipe",
                 {"per_tensor", "per_block", "per_warp", "per_thread", "per_token"}, o.granularity),
      {"smooth", "LETTERS",
       "with --recipe: what is smoothed: none, or some of "
       "the letters q, k and v",
       [&o](const auto &text) { return parseSmooth(text, o.smooth); }},
      enumOption("accumulation", "with --recipe", {"single", "two_level"}, o.accumulation),
      {"head-dim", "D", "with --recipe (default 128)",
       [&o](const auto &text) {
         int64_t dims = 0;
         std::string wrong = parseInteger(text, 1, dims);
         o.headDim = dims;
         return wrong;
       }},
      {"value-head-dim", "Dv", "with --recipe (default: as --head-dim)",
       [&o](const auto &text) {
         int64_t dims = 0;
         std::string wrong = parseInteger(text, 1, dims);
         o.valueHeadDim = dims;
         return wrong;
       }},
  };
  for (Option &option : maskOptions(o))
    table.push_back(std::move(option));
  table.push_back(flag("help", "print this text", o.help));
  table.push_back(flag("version", "print the version", o.version));
  return table;
}

std::string acceptedNames(const std::vector<Option> &table) {
  std::string all;
  for (const Option &option : table)
    all += std::string(all.empty() ? "" : ", ") + "--" + option.name;
  return all;
}

/// What belongs together.
std::string checkTogether(const Options &options) {
  if (options.artifact.empty() == options.recipe.empty())
    return "either an artifact or --recipe must be given";
  if (!options.recipe.empty() && options.device)
    return "--recipe runs on the CPU only: a GPU needs an artifact";
  bool changesRecipe = options.granularity || options.smooth || options.headDim ||
                       options.valueHeadDim || options.mask || options.accumulation ||
                       options.windowLeft || options.windowRight || options.sinkTokens ||
                       options.softcap || options.bias;
  if (options.recipe.empty() && changesRecipe)
    return "--granularity, --smooth, --accumulation, --head-dim, --value-head-dim, --mask, "
           "--window-left, --window-right, --sink-tokens, --softcap and --bias need --recipe: an "
           "artifact fixes them";
  if (options.operands.keyLengths && options.operands.sequences)
    return "--key-lengths and --sequences must not both be given";
  int files = int(!options.query.empty()) + int(!options.key.empty()) + int(!options.value.empty());
  if (files != 0 && files != 3)
    return "--query, --key and --value must be given together";
  if (files == 3 && options.shape)
    return "--shape must not be given with input files: they have one";
  return {};
}

} // namespace

std::string parseOptions(int count, const char *const *arguments, Options &options) {
  std::vector<Option> table = optionTable(options);
  for (int i = 1; i < count; ++i) {
    std::string argument = arguments[i];
    if (argument.rfind("--", 0) != 0) {
      if (!options.artifact.empty())
        return "one artifact must be given, but got '" + options.artifact + "' and '" + argument +
               "'";
      options.artifact = argument;
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
    std::string wrong = found->parse(value);
    if (!wrong.empty())
      return "--" + name + " must be " + wrong + ", but got '" + value + "'";
  }
  return options.help || options.version ? "" : checkTogether(options);
}

std::string helpText() {
  Options defaults;
  std::ostringstream out;
  out << "Runs an artifact of sage-compile, or a recipe's CPU reference.\n\n"
         "usage: sage-run ARTIFACT.ptx [options]\n"
         "       sage-run --recipe=NAME [options]\n\n"
         "An option's value follows after '=' or as the next word.\n\n";
  for (const Option &option : optionTable(defaults)) {
    out << "  --" << option.name;
    if (option.value)
      out << "=" << option.value;
    out << "\n        " << option.help << "\n";
  }
  out << "\nFigures: cosine Σab/√(Σa²Σb²), relative L1 Σ|a-b|/Σ|b|, RMSE, "
         "largest |a-b|.\nExit status: 0 success, 1 failure, 2 wrong usage.\n";
  return out.str();
}

} // namespace sage::run
