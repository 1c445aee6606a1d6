//===- WorkspaceSlices.h - what a launch left in the workspace --*- C++ -*-===//
#ifndef SAGE_GPU_TEST_WORKSPACESLICES_H
#define SAGE_GPU_TEST_WORKSPACESLICES_H

#include "Session.h"
#include "Workspace.h"

namespace sage::gpu {

/// The workspace after a launch, with its slices by name.
class Slices {
public:
  Status read(const LoadedArtifact &loaded, const DeviceTensors &tensors);
  /// Null if the program has no such slice.
  const uint8_t *find(const char *name, int64_t &size) const;
  int64_t sizeOf(const char *name) const;

private:
  const runtime::Artifact *artifact = nullptr;
  runtime::WorkspaceLayout layout;
  std::vector<int64_t> sizes;
  std::vector<uint8_t> bytes;
};

/// Which of the equal groups of a slice (heads, rows of a table) an entry has.
struct Groups {
  int64_t total, first, count;
};

/// Rows of bytes in each group: `count` that are compared, and what pads them.
struct RowGrid {
  Groups groups;
  int64_t first, count; ///< rows, from the group's first
  int64_t column;       ///< bytes of a row before the entry's
  int64_t rowBytes;     ///< compared
  int64_t readBytes;    ///< of a row; those behind `rowBytes` are zero
  int64_t pitch;        ///< from row to row
  int64_t zeroRows;     ///< rows after the last that must be zero too
};

/// Adds to `difference` what differs first in each slice.
class SliceComparer {
public:
  SliceComparer(const Slices &slices, std::string entry, std::string &difference)
      : slices(slices), entry(std::move(entry)), difference(difference) {}

  /// `expected` has the grid's rows densely.
  void rows(const char *name, const RowGrid &grid, const std::vector<uint8_t> &expected);
  /// Float32, any NaN equal to any: of each group those from `first` on, as many as are expected.
  void floats(const char *name, const Groups &groups, int64_t first,
              const std::vector<float> &expected);
  void report(const char *name, const std::string &what);

private:
  const Slices &slices;
  std::string entry; ///< for messages
  std::string &difference;
};

} // namespace sage::gpu

#endif
