//===- Module.h - an artifact on one device ---------------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_MODULE_H
#define SAGE_RUNTIME_LIB_MODULE_H

#include "Artifact.h"
#include "Driver.h"

#include <bitset>

namespace sage::runtime {

/// Which of an artifact's kernels, in launch order.
using KernelSelection = std::bitset<kernelLimit>;

/// Immutable after `load`: launches share it without locks.
class Module {
public:
  Module() = default;
  Module(const Module &) = delete;
  Module &operator=(const Module &) = delete;
  ~Module();

  Status load(std::shared_ptr<Driver> driver, std::shared_ptr<const Artifact> artifact,
              int32_t ordinal, const sage_module_options &options);
  /// With `only`, these kernels alone, on what is in the workspace: for measurements.
  Status launch(const sage_call &call, void *stream, void *workspace, uint64_t workspaceBytes,
                const KernelSelection *only = nullptr) const;

  PrimaryContext primary;
  std::shared_ptr<const Artifact> artifact;
  std::string origin;

private:
  Status loadCode(const sage_module_options &options, const sage_device &device);
  std::string findCubin(const sage_module_options &options, ComputeCapability device,
                        const char *name, std::string &cubin) const;
  Status loadCubin(const std::string &cubin);
  Status loadPtx();
  /// PTX to cubin by the driver's linker, so that it can be stored.
  Status assemble(std::string &cubin) const;
  Status findKernels();
  Status checkParameters(const Kernel &kernel, cuda::Function function) const;
  void unload();

  unsigned multiprocessors = 0; // of the device
  cuda::Module code = nullptr;
  std::vector<cuda::Function> functions; // one a kernel, in launch order
};

} // namespace sage::runtime

struct sage_module {
  sage::runtime::Module module;
};

#endif
