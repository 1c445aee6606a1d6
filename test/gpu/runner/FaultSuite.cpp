//===- FaultSuite.cpp - planted errors must be seen -----------------------===//
// Each faulty artifact runs in a process of its own, which is killed when it hangs: a
// kernel that misses a barrier may, or it may break the context for all that follows.
//===----------------------------------------------------------------------===//
#include "CaseRunner.h"

#include <chrono>
#include <cmath>
#include <csignal>
#include <fstream>
#include <limits>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace sage::gpu {
namespace {

using namespace sage::runtime;
using Clock = std::chrono::steady_clock;

/// A fault that stays under this many bounds is not caught.
constexpr double requiredRatio = 3;
constexpr auto childLimit = std::chrono::seconds(60);

enum class ChildEnd { Exited, Crashed, Hung };

ChildEnd waitForChild(pid_t child) {
  Clock::time_point deadline = Clock::now() + childLimit;
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (Clock::now() > deadline) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return ChildEnd::Hung;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return WIFEXITED(status) ? ChildEnd::Exited : ChildEnd::Crashed;
}

ChildEnd runChild(const Options &options, const std::string &artifact, const std::string &output) {
  std::vector<std::string> arguments = {
      "sage-gpu-test", options.bundle, "--fault-child=" + artifact, "--json=" + output,
      options.isStub ? "--device=stub" : "--device=cuda:" + std::to_string(options.device)};
  if (!options.driver.empty())
    arguments.push_back("--driver=" + options.driver);
  std::vector<char *> pointers;
  for (std::string &argument : arguments)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  pid_t child = fork();
  if (child == 0) {
    execv("/proc/self/exe", pointers.data());
    _exit(127);
  }
  return waitForChild(child);
}

/// What the child wrote: the ratio as text, or an error.
void judge(ChildEnd end, const std::string &output, bool isStub, Result &result) {
  if (end != ChildEnd::Exited) {
    result.figures["seen_as"] = end == ChildEnd::Hung ? "hang" : "crash";
    return;
  }
  nlohmann::json child;
  try {
    child = nlohmann::json::parse(std::ifstream(output));
  } catch (const std::exception &error) {
    return result.fail(std::string("no report of the child: ") + error.what());
  }
  if (child.contains("not_run"))
    return result.fail(child["not_run"].get<std::string>());
  if (isStub)
    return;
  if (child.contains("driver_error")) {
    result.figures["seen_as"] = child["driver_error"];
    return;
  }
  double ratio = child.value("infinite", false) ? std::numeric_limits<double>::infinity()
                                                : child.at("ratio").get<double>();
  result.set("error/bound", ratio);
  result.figures["in"] = child.at("worst_case");
  if (!(ratio >= requiredRatio))
    result.fail("the fault stays under 3 bounds: the test is too weak");
}

const FaultCase *findFault(const Bundle &bundle, const std::string &artifact) {
  for (const FaultCase &fault : bundle.faults)
    if (fault.artifact == artifact)
      return &fault;
  return nullptr;
}

} // namespace

void runFaults(Session &session) {
  for (const FaultCase &fault : session.bundle.faults) {
    Result result{"faults", fault.artifact, true, "", {}};
    if (!session.selected(result.name))
      continue;
    std::string output = "/tmp/sage-gpu-fault-" + std::to_string(getpid()) + ".json";
    ChildEnd end = runChild(session.options, fault.artifact, output);
    judge(end, output, session.device.isStub, result);
    unlink(output.c_str());
    session.report.add(std::move(result));
  }
}

int runFaultChild(Session &session) {
  nlohmann::json out;
  const FaultCase *fault = findFault(session.bundle, session.options.faultChild);
  LoadedArtifact &artifact = session.artifact(session.options.faultChild);
  CaseRunner runner(session);
  Status status = runner.create();
  if (!fault)
    status = invalidArgument("the bundle has no such fault");
  else if (!artifact.error.empty())
    status = invalidArgument(artifact.error);
  if (!status.ok())
    out["not_run"] = status.message();
  double worst = -1;
  for (const Case &entry : status.ok() ? fault->cases : std::vector<Case>()) {
    // A race need not show the first time; a fault that was seen needs no longer case.
    for (int64_t i = 0; i < entry.repeats; ++i) {
      if (out.contains("driver_error") || out.contains("not_run") || worst >= requiredRatio)
        break;
      CaseOutcome outcome;
      if (Status failed = runner.run(entry, artifact, outcome); !failed.ok()) {
        bool isKernel = failed.code() == SAGE_DRIVER_ERROR;
        out[isKernel ? "driver_error" : "not_run"] = failed.message();
      } else if (outcome.worst() > worst) {
        worst = outcome.worst();
        out["worst_case"] = entry.name;
      }
    }
  }
  out["infinite"] = std::isinf(worst);
  out["ratio"] = std::isinf(worst) ? 0 : worst;
  std::ofstream(session.options.json) << out.dump() << "\n";
  // No destructors: a broken context may make them hang.
  std::_Exit(0);
}

} // namespace sage::gpu
