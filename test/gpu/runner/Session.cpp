//===- Session.cpp - a bundle on a device ---------------------------------===//
#include "Session.h"

#include "ParallelFor.h"

#include <algorithm>
#include <set>

namespace sage::gpu {

using namespace sage::runtime;

ScoreConversion conversionOf(const LoadedArtifact &artifact) {
  std::string schedule = sage_artifact_schedule(artifact.artifact);
  return schedule.find("conversion = magic") != std::string::npos ? ScoreConversion::FoldedMagic
                                                                  : ScoreConversion::Exact;
}

Status Session::open(const Options &given) {
  options = given;
  filter = std::regex(options.filter);
  if (std::string wrong = bundle.load(options.bundle); !wrong.empty())
    return invalidArgument(wrong);
  if (!options.files.empty())
    if (std::string wrong = bundle.takeFiles(options.files); !wrong.empty())
      return invalidArgument(wrong);
  SAGE_RETURN_IF_ERROR(device.open(options.driver.empty() ? nullptr : options.driver.c_str(),
                                   options.device, options.isStub));
  report.describeDevice(device);
  report.keepIn(options.json);
  return {};
}

void Session::loadOne(const std::string &name, LoadedArtifact &into) {
  auto found = bundle.artifacts.find(name);
  if (found == bundle.artifacts.end()) {
    into.error = "the bundle has no artifact '" + name + "'";
    return;
  }
  if (!found->second.error.empty()) {
    into.error = "not compiled: " + found->second.error;
    return;
  }
  std::string path = bundle.folder + "/" + found->second.file;
  if (Status status = into.load(path, device, {nullptr, options.ignoreCubin}); !status.ok())
    into.error = name + ": " + status.message();
}

void Session::load(const std::vector<std::string> &names) {
  std::set<std::string> wanted(names.begin(), names.end());
  std::vector<std::pair<std::string, LoadedArtifact *>> missing;
  for (const std::string &name : wanted)
    if (std::unique_ptr<LoadedArtifact> &slot = loaded[name]; !slot) {
      slot = std::make_unique<LoadedArtifact>();
      missing.push_back({name, slot.get()});
    }
  parallelFor(int64_t(missing.size()), 0,
              [&](int64_t i) { loadOne(missing[size_t(i)].first, *missing[size_t(i)].second); });
}

LoadedArtifact &Session::artifact(const std::string &name) {
  load({name});
  return *loaded[name];
}

/// Elements of a 16-bit tensor, dense.
static std::vector<uint16_t> copyDense(const sage_tensor &tensor) {
  std::vector<uint16_t> elements;
  const auto *data = static_cast<const uint16_t *>(tensor.data);
  for (int64_t b = 0; b < tensor.extents[0]; ++b)
    for (int64_t h = 0; h < tensor.extents[1]; ++h)
      for (int64_t n = 0; n < tensor.extents[2]; ++n) {
        const uint16_t *row =
            data + b * tensor.strides[0] + h * tensor.strides[1] + n * tensor.strides[2];
        elements.insert(elements.end(), row, row + tensor.extents[3]);
      }
  return elements;
}

Status EntryIntermediates::run(const sage_program &program, const sage_call &call, int64_t keyParts,
                               ReferenceOperands &operands) {
  sage_reference_sizes sizes;
  SAGE_RETURN_IF_ERROR(fromApi(sage_reference_get_sizes(&program, &call, &sizes)));
  batches = call.query.extents[0];
  queries = call.query.extents[2];
  keys = call.key.extents[2];
  originalQuery = copyDense(call.query);
  originalKey = copyDense(call.key);
  originalValue = copyDense(call.value);
  int64_t queryHeads = batches * call.query.extents[1], keyHeads = batches * call.key.extents[1];
  int64_t headDim = call.query.extents[3], valueHeadDim = call.value.extents[3];
  auto make = [](auto &vector, int64_t elements) {
    vector.assign(size_t(elements), 0);
    return vector.data();
  };
  sage_reference_intermediates intermediates{};
  if (program.recipe.smooth_q)
    intermediates.query_mean = make(queryMean, queryHeads * sizes.query_blocks * headDim);
  intermediates.key_mean = make(keyMean, keyHeads * headDim);
  intermediates.query_values = make(query, int64_t(originalQuery.size()));
  intermediates.query_scales = make(queryScales, queryHeads * sizes.query_groups);
  intermediates.key_values = make(key, int64_t(originalKey.size()));
  intermediates.key_scales = make(keyScales, keyHeads * sizes.key_groups);
  intermediates.value_values = make(value, keyHeads * valueHeadDim * sizes.value_positions);
  intermediates.value_scales = make(valueScales, keyHeads * valueHeadDim);
  operands = {};
  SAGE_RETURN_IF_ERROR(prepareReference(program, call, CallUse::Host, operands));
  operands.keyParts = keyParts;
  return quantizeOperands(call, 0, intermediates, operands);
}

/// Puts the bounds of an entry's rows where they lie in the whole.
static void placeBounds(const ErrorBounds &part, const CallEntry &entry, ErrorBounds &whole) {
  int64_t queries = entry.call.query.extents[2], dims = entry.problem.value_head_dim;
  int64_t heads = entry.call.query.extents[0] * entry.call.query.extents[1];
  for (int64_t head = 0; head < heads; ++head) {
    int64_t from = head * queries, to = entry.rows.first + head * entry.rows.headStride;
    std::copy_n(&part.relative[0] + from, queries, &whole.relative[0] + to);
    std::copy_n(&part.lse[0] + from, queries, &whole.lse[0] + to);
    std::copy_n(&part.codes[0] + from * dims, queries * dims, &whole.codes[0] + to * dims);
    std::copy_n(&part.spread[0] + from * dims, queries * dims, &whole.spread[0] + to * dims);
  }
}

Status ReferenceResults::run(const sage_program &program, const HostInputs &inputs,
                             ScoreConversion conversion) {
  size_t rows = size_t(inputs.rows()), elements = rows * size_t(inputs.valueHeadDim);
  // What nobody writes is NaN on both sides.
  output32.assign(elements, 0xffff);
  output22.assign(elements, 0xffff);
  lse32.assign(rows, NAN);
  lse22.assign(rows, NAN);
  entries.clear();
  const sage_problem &problem = program.problem;
  sage_call call32 = inputs.call(output32.data(), lse32.data());
  sage_call call22 = inputs.call(output22.data(), lse22.data());
  bounds = {std::vector<float>(elements), std::vector<float>(elements), std::vector<float>(rows),
            std::vector<float>(rows),
            program.recipe.pv != SAGE_VALUE_F16 && program.recipe.inner == SAGE_INNER_F32};
  int64_t keyParts;
  SAGE_RETURN_IF_ERROR(countKeyParts(program, call32, keyParts));
  for (int64_t i = 0; i < countEntries(problem, call32); ++i) {
    CallEntry entry = entryOf(problem, call32, i);
    sage_program part = program;
    part.problem = entry.problem;
    EntryIntermediates &intermediates = entries.emplace_back();
    intermediates.index = i;
    intermediates.batch = problem.key_lengths ? i : 0;
    if (problem.packed) {
      intermediates.firstQuery = inputs.operands.queryOffsets[size_t(i)];
      intermediates.firstKey = inputs.operands.keyOffsets[size_t(i)];
    }
    SAGE_RETURN_IF_ERROR(intermediates.run(part, entry.call, keyParts, operands));
    sage_reference_options options{};
    attend(operands, entry.call, lse32.data(), entry.rows, options);
    options.tensor_core_accumulator = 1;
    attend(operands, entryOf(problem, call22, i).call, lse22.data(), entry.rows, options);
    if (entry.call.query.extents[2] > 0)
      placeBounds(computeErrorBounds(operands, entry.call, intermediates.queryMean, conversion),
                  entry, bounds);
  }
  return {};
}

std::string referenceKey(const LoadedArtifact &artifact) {
  const sage_program &program = artifact.program;
  const sage_recipe &recipe = program.recipe;
  const sage_problem &problem = program.problem;
  return text(
      problem.mask, problem.has_window_left, problem.has_window_right, ' ', problem.window_left,
      ' ', problem.window_right, ' ', problem.sink_tokens, ' ', problem.softcap, ' ',
      problem.has_bias, problem.key_lengths, problem.sinks, problem.packed, ' ', recipe.interval,
      ' ', program.problem.scale, ' ', program.problem.element_type, ' ', program.problem.head_dim,
      ' ', program.problem.value_head_dim, ' ', recipe.qk, recipe.smooth_q, recipe.smooth_k,
      recipe.smooth_v, recipe.rotate, recipe.range, recipe.pv, recipe.accumulation, recipe.inner,
      recipe.row_sum, ' ', program.geometry.query_block, ' ', program.geometry.key_tile,
      program.geometry.query_groups, program.geometry.key_groups, program.geometry.value_order, ' ',
      program.geometry.key_parts ? program.geometry.key_parts : "", ' ',
      int(conversionOf(artifact)));
}

double lseTolerance(const sage_recipe &recipe) {
  return recipe.row_sum == SAGE_ROW_SUM_QUANTIZED ? 1e-3 : 1e-4;
}

} // namespace sage::gpu
