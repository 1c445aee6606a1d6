//===- StressSuite.cpp - races, streams, graphs ---------------------------===//
// Atomics count blocks and no sums, and the order of operations is fixed: the same inputs
// give the same bits, always. Whatever changes them is a race, or a launch that keeps state.
//===----------------------------------------------------------------------===//
#include "Session.h"

#include <cstring>
#include <thread>

namespace sage::gpu {
namespace {

using namespace sage::runtime;
using Results = DeviceTensors::Results;

bool equal(const Results &a, const Results &b) {
  return a.output == b.output && a.lse.size() == b.lse.size() &&
         (a.lse.empty() || std::memcmp(a.lse.data(), b.lse.data(), a.lse.size() * 4) == 0);
}

/// A launch on memory and a stream of its own.
class Lane {
public:
  Lane(const Device &device, const LoadedArtifact &artifact)
      : stream(device), tensors(device), artifact(artifact) {}

  Status create(const HostInputs &inputs) {
    SAGE_RETURN_IF_ERROR(stream.create());
    return tensors.create(artifact.artifact, inputs, "head_major",
                          artifact.program.problem.lse != 0);
  }
  Status launch() { return tensors.launch(artifact.module, stream.handle); }
  Status finish(Results &results) {
    SAGE_RETURN_IF_ERROR(stream.synchronize());
    return tensors.download(results);
  }
  Status runOnce(Results &results) {
    SAGE_RETURN_IF_ERROR(tensors.poison());
    SAGE_RETURN_IF_ERROR(launch());
    return finish(results);
  }

  Stream stream;
  DeviceTensors tensors;

private:
  const LoadedArtifact &artifact;
};

class StressRunner {
public:
  StressRunner(Session &session, const Case &from)
      : session(session), device(session.device), from(from) {}

  void run() {
    for (const std::string &name : from.artifacts) {
      check(name, "repeat", [&](Result &result) { return repeat(name, result); });
      check(name, "threads", [&](Result &result) { return threads(name, result); });
      check(name, "graph", [&](Result &result) { return graph(name, result); });
    }
    for (size_t i = 0; i + 1 < from.artifacts.size(); i += 2)
      check(from.artifacts[i] + "+" + from.artifacts[i + 1], "two-modules", [&](Result &result) {
        return twoModules(from.artifacts[i], from.artifacts[i + 1], result);
      });
  }

private:
  template <typename Body> void check(const std::string &name, const std::string &what, Body body) {
    Result result{"stress", name + "/" + from.name + "/" + what, true, "", {}};
    if (!session.selected(result.name))
      return;
    Report::begin(result.name);
    if (Status status = body(result); !status.ok())
      result.fail(status.message());
    session.report.add(std::move(result));
  }

  Status prepare(const std::string &name, uint64_t seed, HostInputs &inputs,
                 LoadedArtifact *&artifact) {
    artifact = &session.artifact(name);
    if (!artifact->error.empty())
      return invalidArgument(artifact->error);
    const sage_problem &problem = artifact->program.problem;
    std::string wrong = makeInputs(from, problem, seed, inputs);
    return wrong.empty() ? Status() : invalidArgument(wrong);
  }

  int64_t repeats() const { return session.options.quick ? 20 : from.repeats; }

  /// One after the other.
  Status repeat(const std::string &name, Result &result) {
    HostInputs inputs;
    LoadedArtifact *artifact;
    SAGE_RETURN_IF_ERROR(prepare(name, from.seed, inputs, artifact));
    Lane lane(device, *artifact);
    SAGE_RETURN_IF_ERROR(lane.create(inputs));
    Results first, next;
    SAGE_RETURN_IF_ERROR(lane.runOnce(first));
    int64_t different = 0;
    for (int64_t i = 0; i < repeats(); ++i) {
      SAGE_RETURN_IF_ERROR(lane.runOnce(next));
      different += !equal(first, next);
    }
    result.figures["launches"] = repeats();
    if (different > 0)
      result.fail(std::to_string(different) + " launches gave other bits");
    return {};
  }

  /// Several at a time, each thread with a stream and a workspace of its own.
  Status threads(const std::string &name, Result &result) {
    constexpr size_t count = 4;
    HostInputs inputs;
    LoadedArtifact *artifact;
    SAGE_RETURN_IF_ERROR(prepare(name, from.seed, inputs, artifact));
    Results expected;
    {
      Lane lane(device, *artifact);
      SAGE_RETURN_IF_ERROR(lane.create(inputs));
      SAGE_RETURN_IF_ERROR(lane.runOnce(expected));
    }
    Status statuses[count];
    int64_t different[count] = {};
    std::vector<std::thread> workers;
    for (size_t t = 0; t < count; ++t)
      workers.emplace_back([&, t] {
        statuses[t] = [&]() -> Status {
          SAGE_RETURN_IF_ERROR(device.enterThread());
          Lane lane(device, *artifact);
          SAGE_RETURN_IF_ERROR(lane.create(inputs));
          Results results;
          for (int64_t i = 0; i < repeats() / 10; ++i) {
            for (int burst = 0; burst < 4; ++burst)
              SAGE_RETURN_IF_ERROR(lane.launch());
            SAGE_RETURN_IF_ERROR(lane.finish(results));
            different[t] += !equal(expected, results);
          }
          return {};
        }();
      });
    for (std::thread &worker : workers)
      worker.join();
    for (size_t t = 0; t < count; ++t) {
      SAGE_RETURN_IF_ERROR(std::move(statuses[t]));
      if (different[t] > 0)
        result.fail("other bits on thread " + std::to_string(t));
    }
    return {};
  }

  /// Captured once, replayed with other inputs in the same memory.
  Status graph(const std::string &name, Result &result) {
    HostInputs first, second;
    LoadedArtifact *artifact;
    SAGE_RETURN_IF_ERROR(prepare(name, from.seed, first, artifact));
    SAGE_RETURN_IF_ERROR(prepare(name, from.seed + 1, second, artifact));
    if (!device.graphs.available()) {
      if (!device.isStub)
        result.fail("the driver has no graphs");
      return {};
    }
    Lane lane(device, *artifact);
    SAGE_RETURN_IF_ERROR(lane.create(first));
    Results direct[2], replayed;
    SAGE_RETURN_IF_ERROR(lane.runOnce(direct[0]));
    SAGE_RETURN_IF_ERROR(lane.tensors.uploadInputs(second));
    SAGE_RETURN_IF_ERROR(lane.runOnce(direct[1]));
    ReplayGraph graph(device);
    SAGE_RETURN_IF_ERROR(graph.capture(lane.stream, [&] { return lane.launch(); }));
    result.figures["nodes"] = graph.nodeCount;
    if (graph.nodeCount == 0)
      result.fail("the captured graph is empty");
    for (int i = 0; i < 6; ++i) {
      SAGE_RETURN_IF_ERROR(lane.tensors.uploadInputs(i % 2 ? second : first));
      SAGE_RETURN_IF_ERROR(lane.tensors.poison());
      SAGE_RETURN_IF_ERROR(graph.launch(lane.stream));
      SAGE_RETURN_IF_ERROR(lane.finish(replayed));
      if (!equal(direct[i % 2], replayed))
        result.fail("replay " + std::to_string(i) + " gave other bits");
    }
    return {};
  }

  Status twoModules(const std::string &a, const std::string &b, Result &result) {
    HostInputs inputs[2];
    LoadedArtifact *artifacts[2];
    SAGE_RETURN_IF_ERROR(prepare(a, from.seed, inputs[0], artifacts[0]));
    SAGE_RETURN_IF_ERROR(prepare(b, from.seed + 1, inputs[1], artifacts[1]));
    Lane first(device, *artifacts[0]), second(device, *artifacts[1]);
    Lane *lanes[2] = {&first, &second};
    Results expected[2], results;
    for (size_t i = 0; i < 2; ++i) {
      SAGE_RETURN_IF_ERROR(lanes[i]->create(inputs[i]));
      SAGE_RETURN_IF_ERROR(lanes[i]->runOnce(expected[i]));
    }
    for (int64_t round = 0; round < repeats() / 10; ++round) {
      for (int burst = 0; burst < 8; ++burst)
        SAGE_RETURN_IF_ERROR(lanes[burst % 2]->launch());
      for (size_t i = 0; i < 2; ++i) {
        SAGE_RETURN_IF_ERROR(lanes[i]->finish(results));
        if (!equal(expected[i], results) && result.passed)
          result.fail("other bits beside the other module");
      }
    }
    return {};
  }

  Session &session;
  const Device &device;
  const Case &from;
};

} // namespace

void runStress(Session &session) {
  for (const Case &entry : session.bundle.stress)
    if (!session.options.quick || entry.quick)
      StressRunner(session, entry).run();
}

} // namespace sage::gpu
