//===- main.cpp - sage-gpu-test -------------------------------------------===//
#include "SelfTest.h"
#include "Session.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

using namespace sage::gpu;

namespace {

constexpr const char *usage =
    "usage: sage-gpu-test BUNDLE [options]\n"
    "  --device=cuda:N    the GPU (0); --device=stub runs no kernels: it checks that\n"
    "                     every artifact loads and every launch is marshalled\n"
    "  --suite=NAME,…     correctness, accuracy, faults, timing, stress (all)\n"
    "  --filter=REGEX     only cases whose ARTIFACT/CASE matches\n"
    "  --files=FOLDER     instead of the bundle's cases: every artifact on each NAME-q.npy,\n"
    "                     NAME-k.npy, NAME-v.npy of the folder (float16, B×H×N×D)\n"
    "  --json=OUT         write the results\n"
    "  --quick            only small cases\n"
    "  --ignore-cubin     assemble the PTX by the driver\n"
    "  --driver=PATH      the driver library\n"
    "  --self-test        try the error bound on the CPU; needs no bundle\n"
    "  --help             print this text\n"
    "exit status: 0 all passed, 1 failures, 2 usage, 77 no GPU\n";

constexpr int exitUsage = 2, exitNoDevice = 77;

/// False after an unknown option.
bool parseOptions(int argc, char **argv, Options &options, bool &selfTest) {
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    auto value = [&](const std::string &name, std::string &into) {
      if (argument.rfind(name + "=", 0) != 0)
        return false;
      into = argument.substr(name.size() + 1);
      return true;
    };
    std::string device;
    if (value("--suite", options.suite) || value("--filter", options.filter) ||
        value("--json", options.json) || value("--driver", options.driver) ||
        value("--files", options.files) || value("--fault-child", options.faultChild))
      continue;
    if (value("--device", device)) {
      options.isStub = device == "stub";
      if (!options.isStub && device.rfind("cuda:", 0) != 0)
        return false;
      options.device = options.isStub ? 0 : std::atoi(device.c_str() + 5);
    } else if (argument == "--quick") {
      options.quick = true;
    } else if (argument == "--ignore-cubin") {
      options.ignoreCubin = true;
    } else if (argument == "--self-test") {
      selfTest = true;
    } else if (argument.rfind("--", 0) != 0 && options.bundle.empty()) {
      options.bundle = argument;
    } else {
      std::fprintf(stderr, "sage-gpu-test: unknown option '%s'\n", argv[i]);
      return false;
    }
  }
  if (options.isStub && options.driver.empty())
    options.driver = SAGE_STUB_DRIVER;
  return selfTest || !options.bundle.empty();
}

struct Suite {
  const char *name;
  void (*run)(Session &);
};
constexpr Suite suites[] = {{"correctness", runCorrectness},
                            {"stress", runStress},
                            {"accuracy", runAccuracy},
                            {"timing", runTiming},
                            {"faults", runFaults}};

bool isWanted(const std::string &list, const std::string &name) {
  return list.empty() || ("," + list + ",").find("," + name + ",") != std::string::npos;
}

int runSuites(Session &session) {
  for (const Suite &suite : suites)
    if (isWanted(session.options.suite, suite.name))
      suite.run(session);
  session.report.printTable();
  if (!session.options.json.empty()) {
    std::ofstream stream(session.options.json);
    stream << session.report.toJson().dump(1) << "\n";
    if (!stream) {
      std::fprintf(stderr, "sage-gpu-test: cannot write %s\n", session.options.json.c_str());
      return exitUsage;
    }
  }
  if (session.report.size() == 0) {
    std::fprintf(stderr, "sage-gpu-test: no case was run\n");
    return exitUsage;
  }
  return session.report.allPassed() ? 0 : 1;
}

} // namespace

int main(int argc, char **argv) {
  if (argc == 2 && !std::strcmp(argv[1], "--help")) {
    std::fputs(usage, stdout);
    return 0;
  }
  Options options;
  bool selfTest = false;
  if (!parseOptions(argc, argv, options, selfTest)) {
    std::fputs(usage, stderr);
    return exitUsage;
  }
  if (selfTest)
    return runSelfTest();
  Session session;
  try {
    if (Status status = session.open(options); !status.ok()) {
      std::fprintf(stderr, "sage-gpu-test: %s%s%s\n", status.message().c_str(),
                   status.remedy().empty() ? "" : "; remedy: ", status.remedy().c_str());
      bool noDevice = status.code() == SAGE_NO_DEVICE || status.code() == SAGE_NO_DRIVER;
      return noDevice ? exitNoDevice : exitUsage;
    }
    return options.faultChild.empty() ? runSuites(session) : runFaultChild(session);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "sage-gpu-test: %s\n", error.what());
    return exitUsage;
  }
}
