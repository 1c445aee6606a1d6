//===- Bench.cpp - artifacts by shapes ------------------------------------===//
#include "Bench.h"

#include "Subject.h"

#include <algorithm>
#include <cstdio>
#include <deque>

namespace sage::bench {
namespace {

using namespace sage::runtime;

struct NamedArtifact {
  std::string name;
  gpu::LoadedArtifact artifact;
};

/// The file's name without its folder; with as much of it as tells equal names apart.
std::string nameOf(const std::string &path, const std::vector<std::string> &all) {
  auto tail = [](const std::string &from, size_t folders) {
    size_t begin = from.size();
    for (size_t i = 0; i <= folders && begin != std::string::npos && begin > 0; ++i)
      begin = from.rfind('/', begin - 1);
    std::string name = begin == std::string::npos ? from : from.substr(begin + 1);
    bool isPtx = name.size() > 4 && name.compare(name.size() - 4, 4, ".ptx") == 0;
    return isPtx ? name.substr(0, name.size() - 4) : name;
  };
  size_t folders = 0, most = size_t(std::count(path.begin(), path.end(), '/'));
  auto isShared = [&] {
    return std::count_if(all.begin(), all.end(), [&](const std::string &other) {
             return tail(other, folders) == tail(path, folders);
           }) > 1;
  };
  while (folders < most && isShared())
    ++folders;
  return tail(path, folders);
}

bool accepts(const sage_problem &problem, const CallShape &shape) {
  for (size_t i = 0; i < shape.size(); ++i)
    if (problem.shape[i] >= 0 && problem.shape[i] != shape[i])
      return false;
  return !problem.packed || shape[0] == 1;
}

/// A buffer to another, read plus written.
Status measureCopies(const gpu::Device &device, const gpu::Stream &stream, double &rate) {
  constexpr size_t bytes = size_t(512) << 20;
  gpu::Buffer from(device), to(device);
  SAGE_RETURN_IF_ERROR(from.allocate(bytes));
  SAGE_RETURN_IF_ERROR(to.allocate(bytes));
  SAGE_RETURN_IF_ERROR(device.synchronize());
  auto address = [](const gpu::Buffer &buffer) {
    return cuda::DevicePointer(reinterpret_cast<uintptr_t>(buffer.data()));
  };
  gpu::LaunchTimes times;
  gpu::LaunchPlan plan;
  SAGE_RETURN_IF_ERROR(gpu::timeLaunches(
      device, stream, plan,
      [&](size_t) {
        return device.api().check(
            device.api().memcpyAsync(address(to), address(from), bytes, stream.handle),
            "cuMemcpyAsync");
      },
      times));
  rate = 2 * double(bytes) / times.median() * 1e-6;
  return {};
}

class ShapeBench {
public:
  ShapeBench(const Options &options, const gpu::Device &device, const gpu::Stream &stream,
             Results &results)
      : options(options), stream(stream), results(results), source(device, options) {}

  void run(std::vector<std::unique_ptr<Subject>> subjects, const CallShape &shape) {
    std::vector<Status> statuses(subjects.size());
    for (size_t i = 0; i < subjects.size(); ++i) {
      report(*subjects[i], shape, "inputs");
      statuses[i] = subjects[i]->create(options, source, stream);
    }
    // Each pass begins with another artifact: the one after a pause runs before the chip's power
    // limit sets in.
    for (int64_t pass = 1; pass <= options.passes; ++pass)
      for (size_t turn = 0; turn < subjects.size(); ++turn) {
        size_t i = (turn + size_t(pass) - 1) % subjects.size();
        if (!statuses[i].ok())
          continue;
        report(*subjects[i], shape, text("pass ", pass, " of ", options.passes).c_str());
        statuses[i] = subjects[i]->measure(options, stream);
      }
    for (size_t i = 0; i < subjects.size(); ++i) {
      report(*subjects[i], shape, "check");
      if (statuses[i].ok())
        statuses[i] = subjects[i]->check();
      std::string error = statuses[i].message();
      if (!statuses[i].remedy().empty())
        error += "; remedy: " + statuses[i].remedy();
      for (Row &row : subjects[i]->rows(error))
        results.rows.push_back(std::move(row));
    }
  }

private:
  void report(const Subject &subject, const CallShape &shape, const char *what) const {
    if (!options.quiet)
      std::fprintf(stderr, "sage-bench: %s at %s: %s\n", subject.label().c_str(),
                   textOf(shape).c_str(), what);
  }

  const Options &options;
  const gpu::Stream &stream;
  Results &results;
  InputSource source;
};

Status loadAll(const Options &options, const gpu::Device &device,
               std::deque<NamedArtifact> &artifacts) {
  for (const std::string &path : options.artifacts) {
    NamedArtifact &entry = artifacts.emplace_back();
    entry.name = nameOf(path, options.artifacts);
    Status status = entry.artifact.load(path, device, {nullptr, options.ignoreCubin});
    if (!status.ok())
      return std::move(status).within(path);
  }
  return {};
}

} // namespace

Status runBench(const Options &options, const gpu::Device &device, Results &results) {
  std::deque<NamedArtifact> artifacts;
  SAGE_RETURN_IF_ERROR(loadAll(options, device, artifacts));
  gpu::Stream stream(device);
  SAGE_RETURN_IF_ERROR(stream.create());
  if (!device.isStub)
    SAGE_RETURN_IF_ERROR(measureCopies(device, stream, results.copyGigabytesPerSecond));
  ShapeBench bench(options, device, stream, results);
  for (const CallShape &shape : options.shapes) {
    std::vector<std::unique_ptr<Subject>> subjects;
    for (NamedArtifact &entry : artifacts)
      if (accepts(entry.artifact.program.problem, shape))
        subjects.push_back(std::make_unique<Subject>(device, entry.artifact, entry.name, shape));
    bench.run(std::move(subjects), shape);
  }
  if (results.rows.empty())
    return invalidArgument("no artifact accepts any of the shapes")
        .withRemedy("give the artifact's own extents with --shape");
  return {};
}

} // namespace sage::bench
