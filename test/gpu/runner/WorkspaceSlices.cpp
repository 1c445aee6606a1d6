//===- WorkspaceSlices.cpp - what a launch left in the workspace ----------===//
#include "WorkspaceSlices.h"

#include "ArtifactHandle.h"
#include "CallCheck.h"

#include <algorithm>
#include <cstring>

namespace sage::gpu {

using namespace sage::runtime;

Status Slices::read(const LoadedArtifact &loaded, const DeviceTensors &tensors) {
  artifact = loaded.artifact->artifact.get();
  SymbolValues symbols;
  SAGE_RETURN_IF_ERROR(
      checkCallOfArtifact(*artifact, tensors.deviceCall(), CallUse::Launch, symbols));
  SAGE_RETURN_IF_ERROR(WorkspaceLayout::create(*artifact, symbols, layout));
  for (const WorkspaceSlice &slice : artifact->workspace) {
    int64_t size;
    SAGE_RETURN_IF_ERROR(slice.bytes.evaluate(symbols, size));
    sizes.push_back(size);
  }
  bytes.resize(tensors.workspaceBytes());
  return tensors.workspaceBuffer().download(bytes.data(), bytes.size());
}

const uint8_t *Slices::find(const char *name, int64_t &size) const {
  for (size_t i = 0; i < sizes.size(); ++i)
    if (artifact->workspace[i].name == name) {
      size = sizes[i];
      return bytes.data() + layout.offsets[i];
    }
  return nullptr;
}

int64_t Slices::sizeOf(const char *name) const {
  int64_t size = 0;
  find(name, size);
  return size;
}

void SliceComparer::rows(const char *name, const RowGrid &grid,
                         const std::vector<uint8_t> &expected) {
  int64_t size = 0;
  const uint8_t *slice = slices.find(name, size);
  if (!slice)
    return report(name, "is missing");
  int64_t groupBytes = size / grid.groups.total, end = grid.first + grid.count + grid.zeroRows;
  if (size % grid.groups.total != 0 || groupBytes < end * grid.pitch ||
      grid.column + grid.readBytes > grid.pitch)
    return report(name, text("has ", size, " bytes for ", grid.groups.total, " groups of ", end,
                             " rows of ", grid.pitch));
  for (int64_t group = 0; group < grid.groups.count; ++group)
    for (int64_t row = 0; row < grid.count + grid.zeroRows; ++row) {
      const uint8_t *got = slice + (grid.groups.first + group) * groupBytes +
                           (grid.first + row) * grid.pitch + grid.column;
      const uint8_t *wanted = expected.data() + (group * grid.count + row) * grid.rowBytes;
      int64_t compared = row < grid.count ? grid.rowBytes : 0;
      for (int64_t i = 0; i < grid.readBytes; ++i) {
        int value = i < compared ? wanted[i] : 0;
        if (got[i] != value)
          return report(name, text("differs in group ", group, ", row ", row, ", byte ", i, ": ",
                                   int(got[i]), ", not ", value, i < compared ? "" : " (padding)"));
      }
    }
}

void SliceComparer::floats(const char *name, const Groups &groups, int64_t first,
                           const std::vector<float> &expected) {
  int64_t columns = int64_t(expected.size()) / std::max<int64_t>(groups.count, 1);
  if (columns == 0)
    return;
  int64_t size = 0;
  const uint8_t *slice = slices.find(name, size);
  if (!slice)
    return report(name, "is missing");
  int64_t pitch = size / groups.total;
  if (size % groups.total != 0 || pitch < (first + columns) * 4)
    return report(name,
                  text("has ", size, " bytes for ", groups.total, "x", first + columns, " floats"));
  for (int64_t group = 0; group < groups.count; ++group)
    for (int64_t i = 0; i < columns; ++i) {
      float got, wanted = expected[size_t(group * columns + i)];
      std::memcpy(&got, slice + (groups.first + group) * pitch + (first + i) * 4, 4);
      bool bothNan = got != got && wanted != wanted;
      if (!bothNan && std::memcmp(&got, &wanted, 4) != 0)
        return report(name, text("differs at ", group, ",", i, ": ", got, ", not ", wanted));
    }
}

void SliceComparer::report(const char *name, const std::string &what) {
  difference += (difference.empty() ? "" : "; ") + std::string(name) + entry + " " + what;
}

} // namespace sage::gpu
