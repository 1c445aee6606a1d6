//===- CorrectnessSuite.cpp - every case against the CPU reference --------===//
#include "CaseRunner.h"

namespace sage::gpu {

void runCorrectness(Session &session) {
  CaseRunner runner(session);
  Status created = runner.create();
  std::vector<std::string> names;
  for (const Case &entry : session.bundle.correctness)
    names.insert(names.end(), entry.artifacts.begin(), entry.artifacts.end());
  if (session.options.filter.empty() && !session.options.quick)
    session.load(names);
  for (const Case &entry : session.bundle.correctness)
    for (const std::string &name : entry.artifacts) {
      Result result{"correctness", name + "/" + entry.name, true, "", {}};
      if ((session.options.quick && !entry.quick) || !session.selected(result.name))
        continue;
      Report::begin(result.name);
      LoadedArtifact &artifact = session.artifact(name);
      CaseOutcome outcome;
      if (!created.ok())
        result.fail(created.message());
      else if (!artifact.error.empty())
        result.fail(artifact.error);
      else if (Status status = runner.run(entry, artifact, outcome); !status.ok())
        result.fail(status.message());
      else if (!session.device.isStub)
        outcome.addTo(result);
      bool isLast = !result.passed && session.isBroken();
      if (isLast)
        result.fail("the context is lost: no case after this one was run");
      session.report.add(std::move(result));
      if (isLast)
        return;
    }
}

} // namespace sage::gpu
