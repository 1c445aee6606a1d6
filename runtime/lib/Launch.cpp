//===- Launch.cpp - one call on a stream ----------------------------------===//
// Nothing here allocates unless it fails: addresses, arguments and tensor maps
// lie on the stack, within the limits that the manifest's reader enforces.
//===----------------------------------------------------------------------===//
#include "CallCheck.h"
#include "Module.h"
#include "TensorMap.h"
#include "Workspace.h"

#include <algorithm>
#include <cstring>

namespace sage::runtime {
namespace {

/// Device addresses by buffer index.
using Addresses = std::array<uint64_t, size_t(FirstSlice) + sliceLimit>;

uint64_t addressOf(const void *pointer) { return uint64_t(reinterpret_cast<uintptr_t>(pointer)); }

Status checkWorkspace(const WorkspaceLayout &layout, const void *workspace, uint64_t bytes) {
  if (layout.bytes == 0)
    return {};
  if (!workspace || bytes < layout.bytes)
    return invalidArgument("the workspace must have ", layout.bytes,
                           " bytes for this call, but has ", workspace ? bytes : 0)
        .withRemedy("ask sage_artifact_workspace_bytes");
  if (addressOf(workspace) % workspaceAlignment != 0)
    return invalidArgument("the workspace must be aligned to ", workspaceAlignment,
                           " bytes, but is ", addressOf(workspace) % workspaceAlignment,
                           " bytes past that");
  return {};
}

Addresses resolveBuffers(const Artifact &artifact, const sage_call &call,
                         const WorkspaceLayout &layout, void *workspace) {
  Addresses addresses{};
  addresses[Query] = addressOf(call.query.data);
  addresses[Key] = addressOf(call.key.data);
  addresses[Value] = addressOf(call.value.data);
  addresses[Output] = addressOf(call.output.data);
  addresses[Lse] = addressOf(call.lse);
  addresses[Bias] = addressOf(call.bias.data);
  addresses[KeyLengths] = addressOf(call.key_lengths);
  addresses[Sinks] = addressOf(call.sinks);
  addresses[QueryOffsets] = addressOf(call.query_offsets);
  addresses[KeyOffsets] = addressOf(call.key_offsets);
  // Empty tensors may come without an address, which tensor maps need; they are
  // never read.
  uint64_t anywhere = workspace ? addressOf(workspace) : addresses[Output];
  for (size_t i = Query; i <= Output; ++i)
    if (addresses[i] == 0)
      addresses[i] = anywhere;
  for (size_t i = 0; i < artifact.workspace.size(); ++i)
    addresses[FirstSlice + i] = addressOf(workspace) + layout.offsets[i];
  return addresses;
}

/// One kernel's arguments, as cuLaunchKernel reads them.
class ArgumentBlock {
public:
  Status add(const DriverApi &api, const Argument &argument, const Addresses &addresses,
             const SymbolValues &symbols, double scale) {
    size_t alignment = argument.alignment();
    used = (used + alignment - 1) / alignment * alignment;
    uint8_t *place = storage + used;
    used += argument.bytes();
    pointers[count++] = place;
    switch (argument.kind) {
    case Argument::Kind::Pointer:
      std::memcpy(place, &addresses[argument.buffer], 8);
      return {};
    case Argument::Kind::I32:
    case Argument::Kind::I64:
      return addInteger(argument, symbols, place);
    case Argument::Kind::F32: {
      float value = float(argument.factor * scale);
      std::memcpy(place, &value, 4);
      return {};
    }
    case Argument::Kind::TensorMap:
      break;
    }
    cuda::TensorMap map;
    SAGE_RETURN_IF_ERROR(
        encodeTensorMap(api, argument.tensorMap, symbols, addresses[argument.buffer], map));
    std::memcpy(place, &map, sizeof(map));
    return {};
  }

  void **data() { return pointers; }

private:
  static Status addInteger(const Argument &argument, const SymbolValues &symbols, uint8_t *place) {
    int64_t value;
    SAGE_RETURN_IF_ERROR(argument.value.evaluate(symbols, value));
    if (argument.kind == Argument::Kind::I64) {
      std::memcpy(place, &value, 8);
      return {};
    }
    int32_t narrow = int32_t(value);
    if (narrow != value)
      return invalidArgument("a 32-bit argument would be ", value, " for this shape");
    std::memcpy(place, &narrow, 4);
    return {};
  }

  alignas(64) uint8_t storage[parameterBytesLimit];
  void *pointers[argumentLimit];
  size_t used = 0, count = 0;
};

Status evaluateGrid(const Kernel &kernel, const SymbolValues &symbols,
                    std::array<unsigned, 3> &grid) {
  // CUDA's limits; beyond them the launch would fail with "invalid value".
  constexpr std::array<int64_t, 3> limits = {0x7fffffff, 65535, 65535};
  for (size_t i = 0; i < 3; ++i) {
    int64_t extent;
    SAGE_RETURN_IF_ERROR(kernel.grid[i].evaluate(symbols, extent));
    if (extent < 0 || extent > limits[i])
      return invalidArgument("grid axis ", i, " must be 0 to ", limits[i], ", but is ", extent,
                             " for this shape")
          .withRemedy("split the call by batches or heads");
    grid[i] = unsigned(extent);
  }
  return {};
}

/// Whether a launch may start while the one before it ends, in streams that are captured too. Where
/// it cannot, it is an ordinary one: kernels that wait for launches then wait for nothing.
bool canOverlap(const Driver &driver) {
  constexpr int edgesOfGraphs = 12030;
  return driver.api.launchKernelEx && driver.version >= edgesOfGraphs;
}

/// `overlaps`: with the launch before it, which must be one of this call.
Status launchKernel(const DriverApi &api, cuda::Function function, const Kernel &kernel,
                    const Addresses &addresses, const SymbolValues &symbols, double scale,
                    cuda::Stream stream, unsigned multiprocessors, bool overlaps,
                    bool &isLaunched) {
  std::array<unsigned, 3> grid;
  SAGE_RETURN_IF_ERROR(evaluateGrid(kernel, symbols, grid));
  if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0)
    return {};
  if (kernel.persistent)
    grid[0] = std::min(grid[0], multiprocessors);
  ArgumentBlock arguments;
  for (const Argument &argument : kernel.arguments)
    SAGE_RETURN_IF_ERROR(arguments.add(api, argument, addresses, symbols, scale));
  isLaunched = true;
  if (overlaps) {
    cuda::LaunchAttribute attribute{};
    attribute.id = cuda::ProgrammaticStreamSerialization;
    attribute.programmaticStreamSerialization = 1;
    cuda::LaunchConfig config{
        {grid[0], grid[1], grid[2]}, {}, unsigned(kernel.sharedBytes), stream, &attribute, 1};
    std::copy(kernel.block.begin(), kernel.block.end(), config.block);
    return api.check(api.launchKernelEx(&config, function, arguments.data(), nullptr),
                     "cuLaunchKernelEx");
  }
  return api.check(api.launchKernel(function, grid[0], grid[1], grid[2], unsigned(kernel.block[0]),
                                    unsigned(kernel.block[1]), unsigned(kernel.block[2]),
                                    unsigned(kernel.sharedBytes), stream, arguments.data(),
                                    nullptr),
                   "cuLaunchKernel");
}

Status countTurns(const LaunchGroup &group, const SymbolValues &symbols, int64_t &turns) {
  // Far above any use; bounds what a call can enqueue.
  constexpr int64_t limit = 1 << 20;
  SAGE_RETURN_IF_ERROR(group.repeat.evaluate(symbols, turns));
  if (turns < 0 || turns > limit)
    return invalidArgument("kernels would be repeated ", turns, " times for this shape; 0 to ",
                           limit, " are accepted")
        .withRemedy("split the call by batches or heads");
  return {};
}

} // namespace

Status Module::launch(const sage_call &call, void *stream, void *workspace, uint64_t workspaceBytes,
                      const KernelSelection *only) const {
  SymbolValues symbols{};
  SAGE_RETURN_IF_ERROR(checkCallOfArtifact(*artifact, call, CallUse::Launch, symbols));
  WorkspaceLayout layout;
  SAGE_RETURN_IF_ERROR(WorkspaceLayout::create(*artifact, symbols, layout));
  SAGE_RETURN_IF_ERROR(checkWorkspace(layout, workspace, workspaceBytes));
  Addresses addresses = resolveBuffers(*artifact, call, layout, workspace);
  // Spec N8: the scale is a float32 number.
  double scale = static_cast<float>(resolvedScale(artifact->problem, call));
  bool overlaps = canOverlap(*primary.driver), isBehind = false;
  return withContext(primary, [&]() -> Status {
    for (const LaunchGroup &group : artifact->launches) {
      int64_t turns;
      SAGE_RETURN_IF_ERROR(countTurns(group, symbols, turns));
      for (int64_t &step = symbols[size_t(Symbol::Step)] = 0; step < turns; ++step)
        for (size_t i = group.first; i < group.first + group.count; ++i) {
          if (only && !only->test(i))
            continue;
          const Kernel &kernel = artifact->kernels[i];
          Status status = launchKernel(primary.api(), functions[i], kernel, addresses, symbols,
                                       scale, static_cast<cuda::Stream>(stream), multiprocessors,
                                       kernel.overlaps && overlaps && isBehind, isBehind);
          if (!status.ok())
            return std::move(status).within("kernel " + kernel.name);
        }
    }
    return {};
  });
}

} // namespace sage::runtime
