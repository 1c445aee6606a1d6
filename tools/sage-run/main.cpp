//===- main.cpp - sage-run ------------------------------------------------===//
#include "Options.h"
#include "Report.h"
#include "Tensors.h"

#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>

namespace sage::run {
namespace {

struct Failure {
  std::string message;
};

void check(const gpu::Status &status) {
  if (!status.ok())
    throw Failure{status.remedy().empty() ? status.message()
                                          : status.message() + "\n  remedy: " + status.remedy()};
}

void check(sage_status *status) { check(gpu::fromApi(status)); }

void check(const std::string &wrong) {
  if (!wrong.empty())
    throw Failure{wrong};
}

struct ArtifactDeleter {
  void operator()(sage_artifact *artifact) const { sage_artifact_destroy(artifact); }
};

void maskProblem(const Options &options, sage_problem &problem) {
  auto set = [](const std::optional<int64_t> &option, int32_t &present, int64_t &value) {
    present = option.has_value();
    value = option.value_or(0);
  };
  problem.mask = options.mask.value_or(SAGE_MASK_NONE);
  set(options.windowLeft, problem.has_window_left, problem.window_left);
  set(options.windowRight, problem.has_window_right, problem.window_right);
  problem.sink_tokens = options.sinkTokens.value_or(0);
  problem.softcap = options.softcap.value_or(0);
  problem.has_bias = options.bias.has_value();
  problem.bias_type = options.bias.value_or(SAGE_F16);
  problem.key_lengths = options.operands.keyLengths.has_value();
  problem.packed = options.operands.sequences.has_value();
  problem.sinks = options.sinks;
}

sage_program programOfRecipe(const Options &options) {
  sage_program program;
  check(sage_program_named(options.recipe.c_str(), options.fragment, &program));
  if (options.granularity)
    check(sage_program_set_granularity(&program, *options.granularity, options.fragment));
  if (options.smooth) {
    auto has = [&](char letter) { return options.smooth->find(letter) != std::string::npos; };
    program.recipe.smooth_q = has('q');
    program.recipe.smooth_k = has('k');
    program.recipe.smooth_v = has('v');
  }
  if (options.headDim)
    program.problem.head_dim = program.problem.value_head_dim = *options.headDim;
  if (options.valueHeadDim)
    program.problem.value_head_dim = *options.valueHeadDim;
  if (options.accumulation)
    program.recipe.accumulation = *options.accumulation;
  maskProblem(options, program.problem);
  return program;
}

/// Options name what an artifact does not have.
void checkOperands(const Options &options, const sage_problem &problem) {
  struct Operand {
    const char *option;
    bool given, present;
  };
  const evaluation::MaskChoice &wanted = options.operands;
  for (const Operand &operand :
       {Operand{"--key-lengths", wanted.keyLengths.has_value(), problem.key_lengths != 0},
        Operand{"--sequences", wanted.sequences.has_value(), problem.packed != 0},
        Operand{"--sinks", options.sinks, problem.sinks != 0},
        Operand{"--bias-file", !wanted.biasFile.empty(), problem.has_bias != 0}})
    if (operand.given && !operand.present)
      throw Failure{std::string(operand.option) + ": the program has no such operand"};
}

/// Progress on standard error, at most once a second.
struct Progress {
  const char *what;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
  bool shown = false;

  static void report(void *context, int64_t done, int64_t total) {
    auto &self = *static_cast<Progress *>(context);
    auto now = std::chrono::steady_clock::now();
    if (now - self.last < std::chrono::seconds(1))
      return;
    self.last = now;
    self.shown = true;
    std::fprintf(stderr, "\r%s: %3d %%", self.what, int(100 * done / total));
  }
  ~Progress() {
    if (shown)
      std::fprintf(stderr, "\r%s: done \n", what);
  }
};

sage_reference_options referenceOptions(const Options &options, Progress &progress) {
  return {options.threads, options.tensorCoreAccumulator,
          options.quiet ? nullptr : Progress::report, &progress};
}

void runReference(const sage_program &program, const Options &options,
                  const gpu::HostInputs &tensors, std::vector<uint16_t> &output,
                  std::vector<float> &lse) {
  Progress progress{"CPU reference"};
  output.resize(size_t(tensors.rows() * tensors.valueHeadDim));
  lse.resize(size_t(tensors.rows()));
  sage_call call = tensors.call(output.data(), lse.data());
  sage_reference_options chosen = referenceOptions(options, progress);
  check(sage_reference_run(&program, &call, &chosen, nullptr));
}

Comparison compareWithExact(const sage_problem &problem, const Options &options,
                            const gpu::HostInputs &tensors, const std::vector<double> &output,
                            const std::vector<double> &lse) {
  Progress progress{"float64 attention"};
  std::vector<double> exact(output.size()), exactLse(size_t(tensors.rows()));
  sage_call call = tensors.call(nullptr, nullptr);
  sage_reference_options chosen = referenceOptions(options, progress);
  check(sage_exact_run(&problem, &call, exact.data(), exactLse.data(), &chosen));
  Comparison result{"float64", evaluation::compare(output, exact), {}};
  if (!lse.empty())
    result.lse = evaluation::compare(lse, exactLse);
  return result;
}

Comparison compareWithReference(const sage_program &program, const Options &options,
                                const gpu::HostInputs &tensors, const std::vector<double> &output,
                                const std::vector<double> &lse) {
  std::vector<uint16_t> reference;
  std::vector<float> referenceLse;
  runReference(program, options, tensors, reference, referenceLse);
  Comparison result{
      "cpu_reference", evaluation::compare(output, outputAsDouble(tensors, reference)), {}};
  if (!lse.empty())
    result.lse =
        evaluation::compare(lse, std::vector<double>(referenceLse.begin(), referenceLse.end()));
  return result;
}

void run(const Options &options) {
  std::unique_ptr<sage_artifact, ArtifactDeleter> artifact;
  sage_program program;
  Report report;
  if (options.recipe.empty()) {
    sage_artifact *loaded;
    check(sage_artifact_load(options.artifact.c_str(), &loaded));
    artifact.reset(loaded);
    sage_artifact_program(loaded, &program);
    report.chip = sage_artifact_chip(loaded);
    report.program = options.artifact;
  } else {
    program = programOfRecipe(options);
    report.program = "--recipe=" + options.recipe;
  }
  report.recipe = program.recipe.name;
  report.device = "CPU reference";

  checkOperands(options, program.problem);
  gpu::HostInputs tensors;
  check(makeTensors(program.problem, options, tensors));
  report.tensors = &tensors;
  std::vector<uint16_t> output;
  std::vector<float> lse;
  if (options.device) {
    GpuTiming timing;
    check(runOnGpu(options, tensors, output, lse, timing));
    report.device = timing.device;
    report.gpu = timing;
  } else {
    auto start = std::chrono::steady_clock::now();
    runReference(program, options, tensors, output, lse);
    report.cpuSeconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  if (!options.lse.empty() && lse.empty())
    throw Failure{"--lse: the artifact does not write the log-sum-exp"};
  check(writeResults(tensors, options, output, lse));
  if (options.check) {
    std::vector<double> values = outputAsDouble(tensors, output);
    std::vector<double> lseValues(lse.begin(), lse.end());
    report.comparisons.push_back(
        compareWithExact(program.problem, options, tensors, values, lseValues));
    if (options.device)
      report.comparisons.push_back(
          compareWithReference(program, options, tensors, values, lseValues));
  }
  options.json ? printJson(report) : printText(report);
}

} // namespace
} // namespace sage::run

int main(int count, char **arguments) {
  using namespace sage::run;
  Options options;
  std::string wrong = parseOptions(count, arguments, options);
  if (!wrong.empty()) {
    std::fprintf(stderr, "sage-run: %s\nsage-run --help says more\n", wrong.c_str());
    return 2;
  }
  if (options.help || options.version) {
    std::string text =
        options.help ? helpText() : std::string("sage-run ") + sage_runtime_version();
    std::printf("%s\n", text.c_str());
    return 0;
  }
  try {
    run(options);
  } catch (const Failure &failure) {
    std::fprintf(stderr, "sage-run: %s\n", failure.message.c_str());
    return 1;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "sage-run: %s\n", error.what());
    return 1;
  }
  return 0;
}
