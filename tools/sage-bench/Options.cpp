//===- Options.cpp - the command line of sage-bench -----------------------===//
#include "Options.h"

#include "CommandLine.h"

#include <cstdlib>

namespace sage::bench {
namespace {

using evaluation::flag;
using evaluation::integerOption;
using evaluation::Option;
using evaluation::textOption;

std::string parseDevice(const std::string &text, Options &options) {
  int64_t ordinal = 0;
  options.isStub = text == "stub";
  if (options.isStub)
    return {};
  if (text.rfind("cuda:", 0) != 0 || !evaluation::parseInteger(text.substr(5), 0, ordinal).empty())
    return "cuda:N or stub";
  options.device = int32_t(ordinal);
  return {};
}

std::string parseTolerance(const std::string &text, double &tolerance) {
  char *end;
  tolerance = std::strtod(text.c_str(), &end);
  bool fits = !text.empty() && !*end && tolerance >= 0 && tolerance < 100;
  return fits ? "" : "a number of percent from 0 to below 100";
}

std::vector<Option> optionTable(Options &o) {
  return {
      {"device", "cuda:N|stub",
       "the GPU (default cuda:0); stub runs no kernels, to try a command line: every launch takes "
       "1 ms, and nothing is checked",
       [&o](const auto &text) { return parseDevice(text, o); }},
      {"shape", "B,Hq,Hkv,Nq,Nk",
       "one shape; may be given again. Default: 4 batches of 32 heads at 1K, 2K, 4K and 8K tokens, "
       "1 batch of 32 heads at 16K and 32K; of these, what an artifact of fixed extents accepts",
       [&o](const auto &text) { return evaluation::parseShape(text, o.shapes.emplace_back()); }},
      integerOption("passes", "N",
                    "all artifacts are timed in turn, N times, so that a clock that drifts drifts "
                    "for all (default 3)",
                    1, o.passes),
      integerOption("launches", "N", "least launches of each in a pass (default 10)", 1,
                    o.launches),
      integerOption("sets", "N",
                    "input sets that launches take in turn (default: 2 or more, so that they "
                    "outgrow the caches)",
                    1, o.inputSets),
      integerOption("seed", "S", "seed of the inputs, which are N(0,1) (default 0)", 0, o.seed),
      flag("kernels",
           "time each preparation kernel too, and compare what it moves with the measured rate of "
           "device-to-device copies",
           o.kernels),
      flag("graph", "time replays of a CUDA graph too: without the gaps between short launches",
           o.graph),
      textOption("json", "FILE", "write all figures", o.json),
      textOption("baseline", "FILE",
                 "compare with what --json wrote earlier: the speed as a ratio, line by line; exit "
                 "status 1 if one is slower than the tolerance allows",
                 o.baseline),
      {"tolerance", "PERCENT", "how much slower than the baseline is no failure (default 3)",
       [&o](const auto &text) { return parseTolerance(text, o.tolerance); }},
      textOption("peers", "FILE",
                 "show the lines of utils/bench-peers.py of the same head dim, mask and shape",
                 o.peers),
      flag("ignore-cubin", "let the driver assemble the PTX", o.ignoreCubin),
      textOption("driver", "PATH", "the CUDA driver library (default libcuda.so.1)", o.driver),
      flag("quiet", "no progress on standard error", o.quiet),
      flag("help", "print this text", o.help),
      flag("version", "print the version", o.version),
  };
}

} // namespace

std::string parseOptions(int count, const char *const *arguments, Options &options) {
  auto takeArtifact = [&](const std::string &argument) {
    options.artifacts.push_back(argument);
    return std::string();
  };
  std::string wrong =
      evaluation::parseCommandLine(count, arguments, optionTable(options), takeArtifact);
  if (!wrong.empty() || options.help || options.version)
    return wrong;
  if (options.artifacts.empty())
    return "at least one artifact must be given";
  if (options.isStub && options.driver.empty())
    options.driver = SAGE_STUB_DRIVER;
  if (options.shapes.empty())
    options.shapes = {{4, 32, 32, 1024, 1024},   {4, 32, 32, 2048, 2048},
                      {4, 32, 32, 4096, 4096},   {4, 32, 32, 8192, 8192},
                      {1, 32, 32, 16384, 16384}, {1, 32, 32, 32768, 32768}};
  return {};
}

std::string helpText() {
  Options defaults;
  return "Times artifacts of sage-compile on a GPU and checks what they compute.\n\n"
         "usage: sage-bench ARTIFACT.ptx... [options]\n\n" +
         evaluation::describeOptions(optionTable(defaults)) +
         "\nScopes: kernel (the attention kernel alone), total (every launch: 16-bit tensors in to "
         "16-bit tensors out),\nreplay (total, as a CUDA graph). TFLOP/s = 4·B·H·Nq·Nk·D / time, "
         "halved for causal; ms is the median.\nSome rows of every output are compared with "
         "float64 attention.\n"
         "Exit status: 0 success; 1 an artifact failed, is wrong, or is slower than the baseline; "
         "2 wrong usage; 77 no GPU.\n";
}

} // namespace sage::bench
