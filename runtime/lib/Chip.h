//===- Chip.h - sm_90a and the devices that run it --------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_CHIP_H
#define SAGE_RUNTIME_LIB_CHIP_H

#include "Status.h"

#include <string>

namespace sage::runtime {

struct ComputeCapability {
  int major = 0, minor = 0;
};

/// PTX ISA, `.target`: plain chips run on their compute capability and later
/// ones, `a` on exactly it, `f` on later minor versions of the same major one.
struct Chip {
  enum class Scope { AndLater, Exact, Family };

  std::string name;
  ComputeCapability capability;
  Scope scope = Scope::AndLater;

  static Status parse(const std::string &name, Chip &result);
  /// PTX of this chip, through the driver's JIT.
  Status checkRunsOn(ComputeCapability device) const;
  /// Code that was assembled for this chip: same major version only.
  bool cubinRunsOn(ComputeCapability device) const;
};

} // namespace sage::runtime

#endif
