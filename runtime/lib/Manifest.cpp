//===- Manifest.cpp - the manifest's fields -------------------------------===//
// Every field is required and every other name is refused, save `notes`: a
// reader that skips what it does not know would launch kernels wrongly.
//===----------------------------------------------------------------------===//
#include "ManifestKernels.h"

#include <algorithm>

namespace sage::runtime {
namespace {

/// A number or null, which becomes 0.
Status parseOptionalNumber(ManifestObject &object, const char *name, double &result) {
  const nlohmann::json *field;
  SAGE_RETURN_IF_ERROR(object.value(name, field));
  result = 0;
  if (field->is_null())
    return {};
  SAGE_RETURN_IF_ERROR(object.number(name, result));
  if (!(result > 0))
    return invalidArtifact("problem.", name, " must be positive, but got ", result);
  return {};
}

/// An integer or null; `present` says which.
Status parseOptionalInteger(ManifestObject &object, const char *name, int32_t &present,
                            int64_t &result) {
  const nlohmann::json *field;
  SAGE_RETURN_IF_ERROR(object.value(name, field));
  present = !field->is_null();
  result = 0;
  return present ? object.integer(name, result) : Status();
}

/// What hides keys, ends sequences and changes scores.
Status parseMasking(ManifestObject &object, sage_problem &problem) {
  SAGE_RETURN_IF_ERROR(object.choice(
      "mask",
      {"none", "causal_top_left", "causal_bottom_right", "window_top_left", "window_bottom_right"},
      problem.mask));
  SAGE_RETURN_IF_ERROR(
      parseOptionalInteger(object, "window_left", problem.has_window_left, problem.window_left));
  SAGE_RETURN_IF_ERROR(
      parseOptionalInteger(object, "window_right", problem.has_window_right, problem.window_right));
  int32_t hasSinkTokens;
  SAGE_RETURN_IF_ERROR(
      parseOptionalInteger(object, "sink_tokens", hasSinkTokens, problem.sink_tokens));
  SAGE_RETURN_IF_ERROR(parseOptionalNumber(object, "softcap", problem.softcap));
  const nlohmann::json *bias;
  SAGE_RETURN_IF_ERROR(object.value("bias", bias));
  problem.has_bias = !bias->is_null();
  if (problem.has_bias)
    SAGE_RETURN_IF_ERROR(object.choice("bias", {"f16", "bf16", "f32", "bool"}, problem.bias_type));
  SAGE_RETURN_IF_ERROR(object.boolean("key_lengths", problem.key_lengths));
  SAGE_RETURN_IF_ERROR(object.boolean("sinks", problem.sinks));
  return object.boolean("packed", problem.packed);
}

Status parseProblem(ManifestObject object, sage_problem &problem) {
  SAGE_RETURN_IF_ERROR(object.integer("head_dim", problem.head_dim));
  SAGE_RETURN_IF_ERROR(object.integer("value_head_dim", problem.value_head_dim));
  SAGE_RETURN_IF_ERROR(object.choice("element_type", {"f16", "bf16"}, problem.element_type));
  SAGE_RETURN_IF_ERROR(object.choice("layout", {"head_major", "token_major"}, problem.layout));
  SAGE_RETURN_IF_ERROR(parseMasking(object, problem));
  SAGE_RETURN_IF_ERROR(object.boolean("lse", problem.lse));
  SAGE_RETURN_IF_ERROR(parseOptionalNumber(object, "scale", problem.scale));
  const nlohmann::json *shape;
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
  SAGE_RETURN_IF_ERROR(object.integer("interval", recipe.interval));
  SAGE_RETURN_IF_ERROR(object.choice("row_sum", {"float", "quantized"}, recipe.row_sum));
  SAGE_RETURN_IF_ERROR(object.choice("rotate", {"none", "hadamard"}, recipe.rotate));
  SAGE_RETURN_IF_ERROR(object.choice("range", {"full", "clipped"}, recipe.range));
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
  geometry.hasParts = object.has("key_parts");
  if (geometry.hasParts)
    SAGE_RETURN_IF_ERROR(object.expression("key_parts", extentSymbols, geometry.keyParts));
  artifact.keyPartsText = geometry.keyParts.json();
  SAGE_RETURN_IF_ERROR(object.finish());
  return checkGeometry(geometry);
}

Status parseWorkspace(const nlohmann::json &slices, Artifact &artifact) {
  for (const nlohmann::json &json : slices) {
    ManifestObject object(json, "workspace");
    WorkspaceSlice slice;
    SAGE_RETURN_IF_ERROR(object.string("name", slice.name));
    SAGE_RETURN_IF_ERROR(object.expression("bytes", workspaceSymbols, slice.bytes));
    SAGE_RETURN_IF_ERROR(object.finish());
    bool taken = std::find(callerBufferNames.begin(), callerBufferNames.end(), slice.name) !=
                 callerBufferNames.end();
    for (const WorkspaceSlice &other : artifact.workspace)
      taken |= other.name == slice.name;
    if (taken || slice.name.empty())
      return invalidArtifact("workspace: the name '", slice.name, "' is empty or taken");
    artifact.usedSymbols |= slice.bytes.symbols();
    artifact.workspace.push_back(std::move(slice));
  }
  return {};
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
  return parseKernels(*kernels, artifact);
}

} // namespace sage::runtime
