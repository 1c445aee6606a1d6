//===- Manifest.cpp - the manifest's fields -------------------------------===//
// Every field is required and every other name is refused, save `notes`: a
// reader that skips what it does not know would launch kernels wrongly.
//===----------------------------------------------------------------------===//
#include "Artifact.h"
#include "ManifestObject.h"

#include <algorithm>
#include <cmath>

namespace sage::runtime {
namespace {

constexpr std::array<std::string_view, 5> callerBuffers = {"query", "key", "value", "output",
                                                           "lse"};

Status parseProblem(ManifestObject object, sage_problem &problem) {
  SAGE_RETURN_IF_ERROR(object.integer("head_dim", problem.head_dim));
  SAGE_RETURN_IF_ERROR(object.integer("value_head_dim", problem.value_head_dim));
  SAGE_RETURN_IF_ERROR(object.choice("element_type", {"f16", "bf16"}, problem.element_type));
  SAGE_RETURN_IF_ERROR(object.choice("layout", {"head_major", "token_major"}, problem.layout));
  SAGE_RETURN_IF_ERROR(
      object.choice("mask", {"none", "causal_top_left", "causal_bottom_right"}, problem.mask));
  SAGE_RETURN_IF_ERROR(object.boolean("lse", problem.lse));
  const nlohmann::json *scale, *shape;
  SAGE_RETURN_IF_ERROR(object.value("scale", scale));
  problem.scale = 0;
  if (!scale->is_null()) {
    if (!scale->is_number())
      return invalidArtifact("problem.scale must be a number or null");
    problem.scale = scale->get<double>();
    if (!(problem.scale > 0))
      return invalidArtifact("problem.scale must be positive, but got ", problem.scale);
  }
  SAGE_RETURN_IF_ERROR(object.array("shape", 5, 5, shape));
  for (size_t i = 0; i < 5; ++i)
    SAGE_RETURN_IF_ERROR(integerOf((*shape)[i], "problem.shape", problem.shape[i]));
  SAGE_RETURN_IF_ERROR(object.finish());
  return checkProblem(problem);
}

Status parseRecipe(ManifestObject object, Artifact &artifact) {
  sage_recipe &recipe = artifact.recipe;
  SAGE_RETURN_IF_ERROR(object.string("name", artifact.recipeName));
  SAGE_RETURN_IF_ERROR(object.choice("qk", {"int8", "int4", "e4m3", "f16"}, recipe.qk));
  SAGE_RETURN_IF_ERROR(object.choice(
      "granularity", {"per_tensor", "per_block", "per_warp", "per_thread", "per_token"},
      recipe.granularity));
  SAGE_RETURN_IF_ERROR(object.boolean("smooth_q", recipe.smooth_q));
  SAGE_RETURN_IF_ERROR(object.boolean("smooth_k", recipe.smooth_k));
  SAGE_RETURN_IF_ERROR(object.boolean("smooth_v", recipe.smooth_v));
  SAGE_RETURN_IF_ERROR(object.choice("pv", {"e4m3", "e5m2", "f16"}, recipe.pv));
  SAGE_RETURN_IF_ERROR(object.choice("accumulation", {"single", "two_level"}, recipe.accumulation));
  SAGE_RETURN_IF_ERROR(object.choice("inner", {"f32", "f16"}, recipe.inner));
  SAGE_RETURN_IF_ERROR(object.choice("row_sum", {"float", "quantized"}, recipe.row_sum));
  SAGE_RETURN_IF_ERROR(object.finish());
  return checkRecipe(recipe);
}

Status parseGeometry(ManifestObject object, Artifact &artifact) {
  Geometry &geometry = artifact.geometry;
  SAGE_RETURN_IF_ERROR(object.integer("query_block", geometry.queryBlock));
  SAGE_RETURN_IF_ERROR(object.integer("key_tile", geometry.keyTile));
  SAGE_RETURN_IF_ERROR(object.expression("query_groups", mapSymbols, geometry.queryGroups));
  SAGE_RETURN_IF_ERROR(object.expression("key_groups", mapSymbols, geometry.keyGroups));
  SAGE_RETURN_IF_ERROR(object.expression("value_order", mapSymbols, geometry.valueOrder));
  artifact.queryGroupsText = geometry.queryGroups.json();
  artifact.keyGroupsText = geometry.keyGroups.json();
  artifact.valueOrderText = geometry.valueOrder.json();
  SAGE_RETURN_IF_ERROR(object.finish());
  return checkGeometry(geometry);
}

Status parseWorkspace(const nlohmann::json &slices, Artifact &artifact) {
  for (const nlohmann::json &json : slices) {
    ManifestObject object(json, "workspace");
    WorkspaceSlice slice;
    SAGE_RETURN_IF_ERROR(object.string("name", slice.name));
    SAGE_RETURN_IF_ERROR(object.expression("bytes", callSymbols, slice.bytes));
    SAGE_RETURN_IF_ERROR(object.finish());
    bool taken =
        std::find(callerBuffers.begin(), callerBuffers.end(), slice.name) != callerBuffers.end();
    for (const WorkspaceSlice &other : artifact.workspace)
      taken |= other.name == slice.name;
    if (taken || slice.name.empty())
      return invalidArtifact("workspace: the name '", slice.name, "' is empty or taken");
    artifact.usedSymbols |= slice.bytes.symbols();
    artifact.workspace.push_back(std::move(slice));
  }
  return {};
}

Status parseBuffer(ManifestObject &object, const Artifact &artifact, uint32_t &buffer) {
  std::string name;
  SAGE_RETURN_IF_ERROR(object.string("buffer", name));
  for (size_t i = 0; i < callerBuffers.size(); ++i)
    if (name == callerBuffers[i]) {
      buffer = uint32_t(i);
      if (buffer == Lse && !artifact.problem.lse)
        return invalidArtifact("buffer 'lse' is named, but problem.lse is "
                               "false");
      return {};
    }
  for (size_t i = 0; i < artifact.workspace.size(); ++i)
    if (name == artifact.workspace[i].name) {
      buffer = uint32_t(FirstSlice + i);
      return {};
    }
  return invalidArtifact("buffer must be query, key, value, output, lse or a "
                         "workspace slice, but got '",
                         name, "'");
}

Status parseTensorMap(ManifestObject &object, TensorMapDescription &map) {
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
    SAGE_RETURN_IF_ERROR(Expression::parse((*extents)[i], callSymbols, map.extents[i]));
    int64_t tile;
    SAGE_RETURN_IF_ERROR(integerOf((*box)[i], "box", tile));
    // PTX ISA, tensor maps: a box has at most 256 elements a dimension.
    if (tile < 1 || tile > 256)
      return invalidArtifact("box must be 1 to 256, but got ", tile);
    map.box[i] = uint32_t(tile);
  }
  for (size_t i = 0; i + 1 < map.rank; ++i)
    SAGE_RETURN_IF_ERROR(Expression::parse((*strides)[i], callSymbols, map.strides[i]));
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

Status parseArgument(ManifestObject object, Artifact &artifact, Argument &argument) {
  SAGE_RETURN_IF_ERROR(
      object.choice("kind", {"pointer", "i32", "i64", "f32", "tensor_map"}, argument.kind));
  switch (argument.kind) {
  case Argument::Kind::Pointer:
    SAGE_RETURN_IF_ERROR(parseBuffer(object, artifact, argument.buffer));
    break;
  case Argument::Kind::I32:
  case Argument::Kind::I64:
    SAGE_RETURN_IF_ERROR(object.expression("value", callSymbols, argument.value));
    break;
  case Argument::Kind::F32: {
    int scale;
    SAGE_RETURN_IF_ERROR(object.choice("symbol", {"scale"}, scale));
    SAGE_RETURN_IF_ERROR(object.number("factor", argument.factor));
    break;
  }
  case Argument::Kind::TensorMap:
    SAGE_RETURN_IF_ERROR(parseBuffer(object, artifact, argument.buffer));
    SAGE_RETURN_IF_ERROR(parseTensorMap(object, argument.tensorMap));
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

Status parseKernel(ManifestObject object, Artifact &artifact, Kernel &kernel) {
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
    SAGE_RETURN_IF_ERROR(Expression::parse((*grid)[i], callSymbols, kernel.grid[i]).within("grid"));
    artifact.usedSymbols |= kernel.grid[i].symbols();
    SAGE_RETURN_IF_ERROR(integerOf((*block)[i], "block", kernel.block[i]));
  }
  SAGE_RETURN_IF_ERROR(object.integer("shared_bytes", kernel.sharedBytes));
  SAGE_RETURN_IF_ERROR(object.array("arguments", 0, argumentLimit, arguments));
  kernel.arguments.resize(arguments->size());
  for (size_t i = 0; i < arguments->size(); ++i) {
    std::string place = text("arguments[", i, "]");
    SAGE_RETURN_IF_ERROR(
        parseArgument({(*arguments)[i], place}, artifact, kernel.arguments[i]).within(place));
  }
  SAGE_RETURN_IF_ERROR(object.finish());
  return checkParameters(kernel);
}

} // namespace

Status parseManifest(std::string_view text, Artifact &artifact) {
  nlohmann::json json;
  SAGE_RETURN_IF_ERROR(parseJson(text, json));
  ManifestObject root(json, "manifest");
  const nlohmann::json *target, *problem, *recipe, *geometry, *slices, *kernels;
  SAGE_RETURN_IF_ERROR(root.string("producer", artifact.producer));
  SAGE_RETURN_IF_ERROR(root.value("target", target));
  SAGE_RETURN_IF_ERROR(root.value("problem", problem));
  SAGE_RETURN_IF_ERROR(root.value("recipe", recipe));
  SAGE_RETURN_IF_ERROR(root.value("geometry", geometry));
  SAGE_RETURN_IF_ERROR(root.string("schedule", artifact.schedule));
  SAGE_RETURN_IF_ERROR(root.array("workspace", 0, sliceLimit, slices));
  SAGE_RETURN_IF_ERROR(root.array("kernels", 1, 256, kernels));
  root.optional("notes");
  SAGE_RETURN_IF_ERROR(root.finish());

  ManifestObject targetObject(*target, "target");
  std::string chip;
  SAGE_RETURN_IF_ERROR(targetObject.string("chip", chip));
  SAGE_RETURN_IF_ERROR(targetObject.finish());
  SAGE_RETURN_IF_ERROR(Chip::parse(chip, artifact.chip));
  SAGE_RETURN_IF_ERROR(parseProblem({*problem, "problem"}, artifact.problem));
  SAGE_RETURN_IF_ERROR(parseRecipe({*recipe, "recipe"}, artifact));
  SAGE_RETURN_IF_ERROR(parseGeometry({*geometry, "geometry"}, artifact));
  SAGE_RETURN_IF_ERROR(parseWorkspace(*slices, artifact));
  artifact.kernels.resize(kernels->size());
  for (size_t i = 0; i < kernels->size(); ++i) {
    std::string place = runtime::text("kernels[", i, "]");
    SAGE_RETURN_IF_ERROR(
        parseKernel({(*kernels)[i], place}, artifact, artifact.kernels[i]).within(place));
  }
  return {};
}

} // namespace sage::runtime
