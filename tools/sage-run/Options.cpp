//===- Options.cpp - the command line of sage-run -------------------------===//
#include "Options.h"

#include "CommandLine.h"

#include <cstdlib>
#include <sstream>

namespace sage::run {
namespace {

using evaluation::choiceOption;
using evaluation::enumOption;
using evaluation::flag;
using evaluation::integerOption;
using evaluation::Option;
using evaluation::parseInteger;
using evaluation::textOption;

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
  const std::vector<std::string> recipes = {"sage2-8b", "sage2-4b", "sage1", "sage2pp",
                                            "sage-8b",  "sage-4b",  "f16"};
  std::vector<Option> table = {
      {"device", "cpu|cuda:N", "where to run: the CPU reference (default), or a GPU",
       [&o](const auto &text) { return parseDevice(text, o.device); }},
      {"shape", "B,Hq,Hkv,Nq,Nk",
       "extents of random inputs; default: the artifact's, with 1,8,8,1024,1024 "
       "where it takes any",
       [&o](const auto &text) { return evaluation::parseShape(text, o.shape.emplace()); }},
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
      choiceOption("recipe", "instead of an artifact, on the CPU", recipes,
                   [&o, recipes](int index) { o.recipe = recipes[size_t(index)]; }),
      choiceOption("fragment",
                   "with --recipe: whose lanes the scale groups follow "
                   "(default wgmma)",
                   {"mma-sync-16", "mma-sync-32", "wgmma"},
                   [&o](int index) { o.fragment = sage_fragment(index); }),
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
  auto takeArtifact = [&](const std::string &argument) {
    if (!options.artifact.empty())
      return "one artifact must be given, but got '" + options.artifact + "' and '" + argument +
             "'";
    options.artifact = argument;
    return std::string();
  };
  std::string wrong =
      evaluation::parseCommandLine(count, arguments, optionTable(options), takeArtifact);
  if (!wrong.empty())
    return wrong;
  return options.help || options.version ? "" : checkTogether(options);
}

std::string helpText() {
  Options defaults;
  std::ostringstream out;
  out << "Runs an artifact of sage-compile, or a recipe's CPU reference.\n\n"
         "usage: sage-run ARTIFACT.ptx [options]\n"
         "       sage-run --recipe=NAME [options]\n\n";
  out << evaluation::describeOptions(optionTable(defaults));
  out << "\nFigures: cosine Σab/√(Σa²Σb²), relative L1 Σ|a-b|/Σ|b|, RMSE, "
         "largest |a-b|.\nExit status: 0 success, 1 failure, 2 wrong usage.\n";
  return out.str();
}

} // namespace sage::run
