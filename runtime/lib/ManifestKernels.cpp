//===- ManifestKernels.cpp - the kernels of a manifest --------------------===//
#include "ManifestKernels.h"

#include <algorithm>
#include <cctype>

namespace sage::runtime {

const std::array<std::string_view, size_t(FirstSlice)> callerBufferNames = {
    "query", "key",         "value", "output",        "lse",
    "bias",  "key_lengths", "sinks", "query_offsets", "key_offsets"};

namespace {

/// A buffer that the problem does not have is nothing to pass on.
bool isPresent(const sage_problem &problem, uint32_t buffer) {
  switch (CallerBuffer(buffer)) {
  case Lse:
    return problem.lse;
  case Bias:
    return problem.has_bias;
  case KeyLengths:
    return problem.key_lengths;
  case Sinks:
    return problem.sinks;
  case QueryOffsets:
  case KeyOffsets:
    return problem.packed;
  default:
    return true;
  }
}

Status parseBuffer(ManifestObject &object, const Artifact &artifact, uint32_t &buffer) {
  std::string name;
  SAGE_RETURN_IF_ERROR(object.string("buffer", name));
  for (size_t i = 0; i < callerBufferNames.size(); ++i)
    if (name == callerBufferNames[i]) {
      buffer = uint32_t(i);
      if (!isPresent(artifact.problem, buffer))
        return invalidArtifact("buffer '", name, "' is named, but the problem has none");
      return {};
    }
  for (size_t i = 0; i < artifact.workspace.size(); ++i)
    if (name == artifact.workspace[i].name) {
      buffer = uint32_t(FirstSlice + i);
      return {};
    }
  std::string accepted;
  for (std::string_view candidate : callerBufferNames)
    accepted += std::string(candidate) + ", ";
  return invalidArtifact("buffer must be ", accepted, "or a workspace slice, but got '", name, "'");
}

Status parseTensorMap(ManifestObject &object, SymbolSet allowed, TensorMapDescription &map) {
  SAGE_RETURN_IF_ERROR(object.choice("element", {"u8", "f16", "bf16"}, map.element));
  const nlohmann::json *extents, *strides, *box;
  SAGE_RETURN_IF_ERROR(object.array("extents", 1, tensorRankLimit, extents));
  map.rank = uint32_t(extents->size());
  SAGE_RETURN_IF_ERROR(object.array("strides", map.rank - 1, map.rank - 1, strides));
  SAGE_RETURN_IF_ERROR(object.array("box", map.rank, map.rank, box));
  int64_t swizzle;
  SAGE_RETURN_IF_ERROR(object.integer("swizzle", swizzle));
  if (swizzle != 0 && swizzle != 32 && swizzle != 64 && swizzle != 128)
    return invalidArtifact("swizzle must be 0, 32, 64 or 128, but got ", swizzle);
  map.swizzleBytes = uint32_t(swizzle);
  for (size_t i = 0; i < map.rank; ++i) {
    SAGE_RETURN_IF_ERROR(Expression::parse((*extents)[i], allowed, map.extents[i]));
    int64_t tile;
    SAGE_RETURN_IF_ERROR(integerOf((*box)[i], "box", tile));
    // PTX ISA, tensor maps: a box has at most 256 elements a dimension.
    if (tile < 1 || tile > 256)
      return invalidArtifact("box must be 1 to 256, but got ", tile);
    map.box[i] = uint32_t(tile);
  }
  for (size_t i = 0; i + 1 < map.rank; ++i)
    SAGE_RETURN_IF_ERROR(Expression::parse((*strides)[i], allowed, map.strides[i]));
  uint32_t rowBytes = map.box[0] * map.elementBytes();
  if (rowBytes % 16 != 0 || (swizzle != 0 && rowBytes > map.swizzleBytes))
    return invalidArtifact("the box's inner extent must be a multiple of 16 "
                           "bytes and at most the swizzle, but is ",
                           rowBytes, " bytes");
  return {};
}

SymbolSet symbolsOf(const Argument &argument) {
  SymbolSet used = argument.value.symbols();
  for (const Expression &extent : argument.tensorMap.extents)
    used |= extent.symbols();
  for (const Expression &stride : argument.tensorMap.strides)
    used |= stride.symbols();
  return used;
}

Status parseArgument(ManifestObject object, SymbolSet allowed, Artifact &artifact,
                     Argument &argument) {
  SAGE_RETURN_IF_ERROR(
      object.choice("kind", {"pointer", "i32", "i64", "f32", "tensor_map"}, argument.kind));
  switch (argument.kind) {
  case Argument::Kind::Pointer:
    SAGE_RETURN_IF_ERROR(parseBuffer(object, artifact, argument.buffer));
    break;
  case Argument::Kind::I32:
  case Argument::Kind::I64:
    SAGE_RETURN_IF_ERROR(object.expression("value", allowed, argument.value));
    break;
  case Argument::Kind::F32: {
    int scale;
    SAGE_RETURN_IF_ERROR(object.choice("symbol", {"scale"}, scale));
    SAGE_RETURN_IF_ERROR(object.number("factor", argument.factor));
    break;
  }
  case Argument::Kind::TensorMap:
    SAGE_RETURN_IF_ERROR(parseBuffer(object, artifact, argument.buffer));
    SAGE_RETURN_IF_ERROR(parseTensorMap(object, allowed, argument.tensorMap));
    break;
  }
  artifact.usedSymbols |= symbolsOf(argument);
  return object.finish();
}

Status checkParameters(const Kernel &kernel) {
  size_t bytes = 0;
  for (const Argument &argument : kernel.arguments) {
    size_t alignment = argument.alignment();
    bytes = (bytes + alignment - 1) / alignment * alignment + argument.bytes();
  }
  if (bytes > parameterBytesLimit)
    return invalidArtifact("arguments must take at most ", parameterBytesLimit, " bytes, but take ",
                           bytes);
  int64_t threads = 1;
  for (int64_t extent : kernel.block) {
    if (extent < 1 || extent > 1024)
      return invalidArtifact("block must be 1 to 1024, but got ", extent);
    threads *= extent;
  }
  if (threads > 1024)
    return invalidArtifact("block must have at most 1024 threads, but has ", threads);
  if (kernel.sharedBytes < 0 || kernel.sharedBytes > (1 << 20))
    return invalidArtifact("shared_bytes must be 0 to 1048576, but got ", kernel.sharedBytes);
  return {};
}

Status parseKernel(ManifestObject object, SymbolSet allowed, Artifact &artifact, Kernel &kernel) {
  const nlohmann::json *grid, *block, *arguments;
  SAGE_RETURN_IF_ERROR(object.string("name", kernel.name));
  auto isIdentifier = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$';
  };
  if (kernel.name.empty() || !std::all_of(kernel.name.begin(), kernel.name.end(), isIdentifier))
    return invalidArtifact("name must be a PTX identifier");
  SAGE_RETURN_IF_ERROR(object.array("grid", 3, 3, grid));
  SAGE_RETURN_IF_ERROR(object.array("block", 3, 3, block));
  for (size_t i = 0; i < 3; ++i) {
    SAGE_RETURN_IF_ERROR(Expression::parse((*grid)[i], allowed, kernel.grid[i]).within("grid"));
    artifact.usedSymbols |= kernel.grid[i].symbols();
    SAGE_RETURN_IF_ERROR(integerOf((*block)[i], "block", kernel.block[i]));
  }
  SAGE_RETURN_IF_ERROR(object.integer("shared_bytes", kernel.sharedBytes));
  SAGE_RETURN_IF_ERROR(object.flag("overlaps", kernel.overlaps));
  SAGE_RETURN_IF_ERROR(object.flag("persistent", kernel.persistent));
  SAGE_RETURN_IF_ERROR(object.array("arguments", 0, argumentLimit, arguments));
  kernel.arguments.resize(arguments->size());
  for (size_t i = 0; i < arguments->size(); ++i) {
    std::string place = text("arguments[", i, "]");
    SAGE_RETURN_IF_ERROR(
        parseArgument({(*arguments)[i], place}, allowed, artifact, kernel.arguments[i])
            .within(place));
  }
  SAGE_RETURN_IF_ERROR(object.finish());
  return checkParameters(kernel);
}

/// Kernels that are launched once, or together as often as a repetition says.
Status appendKernels(const nlohmann::json &kernels, const std::string &place, SymbolSet allowed,
                     Artifact &artifact, LaunchGroup &group) {
  group.first = artifact.kernels.size();
  group.count = kernels.size();
  for (size_t i = 0; i < kernels.size(); ++i) {
    if (artifact.kernels.size() == kernelLimit)
      return invalidArtifact("kernels must be at most ", kernelLimit);
    std::string name = text(place, "[", i, "]");
    artifact.kernels.emplace_back();
    SAGE_RETURN_IF_ERROR(
        parseKernel({kernels[i], name}, allowed, artifact, artifact.kernels.back()).within(name));
  }
  return {};
}

Status appendRepetition(ManifestObject object, Artifact &artifact) {
  LaunchGroup group;
  const nlohmann::json *kernels;
  SAGE_RETURN_IF_ERROR(object.expression("repeat", callSymbols, group.repeat));
  SAGE_RETURN_IF_ERROR(object.array("kernels", 1, kernelLimit, kernels));
  SAGE_RETURN_IF_ERROR(object.finish());
  artifact.usedSymbols |= group.repeat.symbols();
  SAGE_RETURN_IF_ERROR(appendKernels(*kernels, "kernels", repeatSymbols, artifact, group));
  artifact.launches.push_back(std::move(group));
  return {};
}

} // namespace

Status parseKernels(const nlohmann::json &elements, Artifact &artifact) {
  for (size_t i = 0; i < elements.size(); ++i) {
    std::string place = text("kernels[", i, "]");
    if (elements[i].is_object() && elements[i].contains("repeat")) {
      SAGE_RETURN_IF_ERROR(appendRepetition({elements[i], place}, artifact).within(place));
      continue;
    }
    LaunchGroup group{Expression(1), artifact.kernels.size(), 1};
    if (group.first == kernelLimit)
      return invalidArtifact("kernels must be at most ", kernelLimit);
    artifact.kernels.emplace_back();
    SAGE_RETURN_IF_ERROR(
        parseKernel({elements[i], place}, callSymbols, artifact, artifact.kernels.back())
            .within(place));
    artifact.launches.push_back(std::move(group));
  }
  return {};
}

} // namespace sage::runtime
