//===- Subject.h - one artifact at one shape --------------------*- C++ -*-===//
#ifndef SAGE_BENCH_SUBJECT_H
#define SAGE_BENCH_SUBJECT_H

#include "CallTensors.h"
#include "LaunchTimes.h"
#include "LoadedArtifact.h"
#include "Options.h"
#include "Results.h"

#include <memory>

namespace sage::bench {

using gpu::Status;

/// Inputs of one shape, drawn once for the artifacts that take the same.
class InputSource {
public:
  InputSource(const gpu::Device &device, const Options &options)
      : device(device), options(options) {}
  Status get(const sage_problem &problem, const CallShape &shape, size_t set,
             std::shared_ptr<const gpu::HostInputs> &inputs);

private:
  const gpu::Device &device;
  const Options &options;
  std::string key;
  std::vector<std::shared_ptr<const gpu::HostInputs>> sets;
};

/// An artifact's tensors in device memory, what is timed of it, and the times.
class Subject {
public:
  Subject(const gpu::Device &device, const gpu::LoadedArtifact &artifact, std::string name,
          const CallShape &shape)
      : device(device), artifact(artifact), name(std::move(name)), shape(shape) {}

  /// Fills every input set and launches each once.
  Status create(const Options &options, InputSource &source, const gpu::Stream &stream);
  /// Everything once more: the attention kernel, and the whole program last.
  Status measure(const Options &options, const gpu::Stream &stream);
  /// Compares the output of the last launches with float64 attention.
  Status check();
  std::vector<Row> rows(const std::string &error) const;
  const std::string &label() const { return name; }

private:
  /// What is launched: some kernels, or all.
  struct Probe {
    std::string scope; ///< of a row; empty for a preparation kernel
    std::optional<size_t> kernel;
    std::vector<std::unique_ptr<gpu::ReplayGraph>> graphs; ///< one a set; none: plain launches
    gpu::LaunchTimes times;
  };

  Status addProbe(const gpu::Stream &stream, const std::string &scope, std::optional<size_t> kernel,
                  bool asGraph);
  Status launch(const Probe &probe, size_t set, const gpu::Stream &stream) const;
  Row rowOf(const Probe &probe) const;
  std::vector<KernelFigures> preparation() const;

  const gpu::Device &device;
  const gpu::LoadedArtifact &artifact;
  std::string name;
  CallShape shape;
  std::vector<std::unique_ptr<gpu::DeviceTensors>> sets;
  std::shared_ptr<const gpu::HostInputs> firstInputs;
  std::vector<Probe> probes;
  std::optional<double> relativeL1;
};

} // namespace sage::bench

#endif
