//===- CubinStore.h - assembled code in files -------------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_CUBINSTORE_H
#define SAGE_RUNTIME_LIB_CUBINSTORE_H

#include "Artifact.h"

#include <string>
#include <string_view>

namespace sage::runtime {

/// Why a store did not serve; empty if it did.
using Reason = std::string;

/// Whether `description`, the text of a cubin's .json, names this artifact's checksum, a chip whose
/// code `device` runs, and the cubin's own hash. `name` is what reasons call the cubin.
Reason checkCubin(const Artifact &artifact, ComputeCapability device, std::string_view description,
                  std::string_view cubin, const char *name);

/// `<stem>.cubin` beside the artifact, if its `<stem>.cubin.json` names this
/// artifact's checksum and chip and the cubin's own hash (docs/Artifact.md).
Reason findCubinBeside(const Artifact &artifact, ComputeCapability device, std::string &cubin);

/// A folder of what the driver assembled. One file per (artifact's content,
/// chip, device, driver version), with its own hash: a damaged file is not used.
class CubinCache {
public:
  CubinCache(std::string folder, const Artifact &artifact, ComputeCapability device,
             int driverVersion);

  Reason find(std::string &cubin) const;
  /// Written under another name and then renamed: readers see all or nothing.
  Reason store(const std::string &cubin) const;

private:
  std::string folder, path;
};

} // namespace sage::runtime

#endif
