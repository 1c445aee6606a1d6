// Runs the preparation kernels of one attention in the interpreter, and the CPU reference.

#include "PreparationRun.h"

#include "FloatFormats.h"
#include "mlir/IR/Verifier.h"
#include "mlir/InitAllDialects.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "sage/Conversion/SageToSageTile/Passes.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/Dialect/Sage/Transforms/Passes.h"
#include "sage/Dialect/SageTile/Interpreter/Interpreter.h"
#include "sage/InitAll.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace mlir;
using namespace sage;
using namespace sage::test;

const std::vector<char> &PreparationRun::find(const std::string &slice) const {
  static const std::vector<char> empty;
  auto found = workspace.find(slice);
  if (found == workspace.end()) {
    ADD_FAILURE() << "the program has no slice " << slice;
    return empty;
  }
  return found->second;
}

float PreparationRun::toFloat(uint16_t bits) const {
  return tested.isBF16 ? runtime::bf16ToFloat(bits) : runtime::f16ToFloat(bits);
}

float PreparationRun::getCentredKey(int64_t head, int64_t token, int64_t channel) const {
  float k = toFloat(key[(head * tested.keys + token) * tested.headDim + channel]);
  return recipe.smoothsKey() ? k - reference.keyMean[head * tested.headDim + channel] : k;
}

void PreparationRun::makeInputs() {
  auto make = [&](evaluation::InputTensor tensor, int64_t heads, int64_t tokens, int64_t dims) {
    std::vector<uint16_t> elements = evaluation::makeInput(tested.inputs, /*seed=*/7, tensor,
                                                           tested.isBF16 ? SAGE_BF16 : SAGE_F16,
                                                           tested.batch, heads, tokens, dims);
    const uint16_t infinity = tested.isBF16 ? 0x7f80 : 0x7c00;
    const uint16_t notANumber = tested.isBF16 ? 0x7fc0 : 0x7e00;
    if (tested.isPoisoned)
      elements[(tokens / 2 + 7) * dims + 5] =
          tensor == evaluation::InputTensor::Query ? notANumber : infinity;
    return elements;
  };
  using evaluation::InputTensor;
  query = make(InputTensor::Query, tested.queryHeads, tested.queries, tested.headDim);
  key = make(InputTensor::Key, tested.keyHeads, tested.keys, tested.headDim);
  value = make(InputTensor::Value, tested.keyHeads, tested.keys, tested.valueHeadDim);
}

//===----------------------------------------------------------------------===//
// The program
//===----------------------------------------------------------------------===//

static std::string printAttention(const PreparationCase &c) {
  const char *element = c.isBF16 ? "bf16" : "f16";
  auto type = [&](int64_t dims) {
    return "tensor<?x?x?x" + std::to_string(dims) + "x" + element + ">";
  };
  std::string q = type(c.headDim), v = type(c.valueHeadDim), l = "tensor<?x?x?xf32>";
  std::string ragged;
  if (c.isPacked())
    ragged = " query_offsets(%x : tensor<?xi32>) key_offsets(%y : tensor<?xi32>)";
  else if (c.isRagged())
    ragged = " key_lengths(%x : tensor<?xi32>)";
  return "func.func @f(%q: " + q + ", %k: " + q + ", %v: " + v + ", %o: " + v + ", %l: " + l +
         ", %x: tensor<?xi32>, %y: tensor<?xi32>) -> (" + v + ", " + l +
         ") {\n  %r, %s = sage.attention ins(%q, %k, %v : " + q + ", " + q + ", " + v + ")" +
         ragged + " outs(%o, %l : " + v + ", " + l + ") {recipe = #sage.recipe<" + c.recipe +
         ">, mask = #sage.mask<none>, layout = #sage.layout<" +
         (c.isTokenMajor ? "token_major" : "head_major") + ">} -> " + v + ", " + l +
         "\n  return %r, %s : " + v + ", " + l + "\n}\n";
}

/// A schedule that only has to say how many rows a block has: none of its kernels is written.
bool PreparationRun::attachSchedule(ModuleOp module) {
  bool isWgmma = tested.chip == std::string("sm_90a");
  Family family = isWgmma ? Family::Wgmma : Family::MmaSync;
  module.walk([&](AttentionOp op) {
    recipe = op.getRecipe();
    geometry = GeometryAttr::getDefault(recipe, family, tested.queryBlock, tested.keyTile);
    op.setGeometryAttr(geometry);
  });
  PassManager quantize(context.get());
  quantize.addPass(createSageSmooth());
  quantize.addPass(createSageQuantize());
  if (failed(quantize.run(module)))
    return false;
  keyTile = geometry.getKeyTile();
  queryBlock = geometry.getQueryBlock();
  int64_t widest = std::max(paddedHeadDim, paddedValueHeadDim);
  int64_t units = isWgmma ? (queryBlock % 192 == 0 ? 3 : 2) : 4, rows = isWgmma ? 64 : 16;
  bool hasInt4 = tested.chip == std::string("sm_80") || tested.chip == std::string("sm_89");
  auto schedule = ScheduleAttr::get(
      context.get(), family, isWgmma ? Copy::Tma : Copy::CpAsync, widest, units, rows, keyTile, 2,
      1, 0, Conversion::Convert, 0, 0, /*scoreTerms=*/true,
      /*lateConversions=*/true, /*intervals=*/true, /*masks=*/true, /*windows=*/true,
      /*fenceProducts=*/false, /*persistent=*/false, /*quantizesQuery=*/false);
  auto target =
      TargetAttr::get(context.get(), tested.chip, family, 86, 166912, true, hasInt4, "unused");
  module.walk([&](Operation *op) {
    if (!isa<AttentionOp, QuantizedAttentionOp>(op))
      return;
    op->setAttr("schedule", schedule);
    op->setAttr("target", target);
  });
  packsNibbles = recipe.getQk() == ScoreType::Int4 && hasInt4;
  storesFloats = recipe.getQk() == ScoreType::Int4 && isWgmma;
  bool usesBlocks = recipe.smoothsQuery() || recipe.getGranularity() == Granularity::PerBlock;
  querySlot = std::max(units * rows, usesBlocks ? queryBlock : 0);
  int64_t sequences = int64_t(tested.queryOffsets.size()) - 1;
  paddedQueries = (tested.isPacked() ? tested.queries / querySlot + sequences
                                     : (tested.queries + querySlot - 1) / querySlot) *
                  querySlot;
  paddedKeys = (tested.keys / keyTile + (tested.isPacked() ? sequences : 1)) * keyTile;
  return true;
}

bool PreparationRun::compile() {
  DialectRegistry registry;
  mlir::registerAllDialects(registry);
  sage::registerAllDialects(registry);
  // A module does not outlive its context.
  module = {};
  context = std::make_unique<MLIRContext>(registry);
  module = parseSourceString<ModuleOp>(printAttention(tested), context.get());
  if (!module || !attachSchedule(*module))
    return false;
  PassManager convert(context.get());
  // The schedule is none that the op's verifier would take.
  convert.enableVerifier(false);
  convert.addPass(createConvertSageToSageTile({/*preparationOnly=*/true}));
  return succeeded(convert.run(*module)) && succeeded(verify(*module));
}

/// The caller's tensor of a dense one, with `rowPadding` elements of NaN after each row.
static std::vector<uint16_t> spread(const std::vector<uint16_t> &dense, const PreparationCase &c,
                                    int64_t heads, int64_t tokens, int64_t dims) {
  std::vector<uint16_t> result(c.batch * heads * tokens * (dims + c.rowPadding), 0xffff);
  for (int64_t b = 0; b < c.batch; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t n = 0; n < tokens; ++n) {
        int64_t row = c.isTokenMajor ? (b * tokens + n) * heads + h : (b * heads + h) * tokens + n;
        std::copy_n(dense.begin() + ((b * heads + h) * tokens + n) * dims, dims,
                    result.begin() + row * (dims + c.rowPadding));
      }
  return result;
}

bool PreparationRun::interpret() {
  const PreparationCase &c = tested;
  using tile::ProblemInstance;
  // Strides of tensors whose rows are wider by the padding.
  ProblemInstance instance = ProblemInstance::getContiguous(
      {c.batch, c.queryHeads, c.keyHeads, c.queries, c.keys}, c.headDim + c.rowPadding,
      c.valueHeadDim + c.rowPadding, c.isTokenMajor, 1 / std::sqrt(double(c.headDim)));
  if (c.rowPadding != 0) {
    for (unsigned i = 0; i < 4; ++i)
      instance.symbols[tile::ProgramOp::stepSymbol + 2 + i] = 2;
  }
  std::vector<uint16_t> tensors[] = {spread(query, c, c.queryHeads, c.queries, c.headDim),
                                     spread(key, c, c.keyHeads, c.keys, c.headDim),
                                     spread(value, c, c.keyHeads, c.keys, c.valueHeadDim)};
  const char *names[] = {"query", "key", "value"};
  llvm::StringMap<tile::DeviceBuffer> buffers;
  for (int i = 0; i < 3; ++i)
    buffers[names[i]] = {reinterpret_cast<char *>(tensors[i].data()),
                         int64_t(tensors[i].size() * 2)};
  buffers["output"] = buffers["lse"] = {};
  auto addIntegers = [&](const char *name, const std::vector<int32_t> &integers) {
    buffers[name] = {reinterpret_cast<char *>(const_cast<int32_t *>(integers.data())),
                     int64_t(integers.size() * 4)};
  };
  addIntegers("key_lengths", c.keyLengths);
  addIntegers("query_offsets", c.queryOffsets);
  addIntegers("key_offsets", c.keyOffsets);
  if (c.isPacked())
    instance.symbols[tile::ProgramOp::stepSymbol + 1] = c.queryOffsets.size() - 1;
  auto program = *module->getOps<tile::ProgramOp>().begin();
  workspace.clear();
  return succeeded(tile::interpretProgram(program, instance, buffers, {}, &workspace));
}

//===----------------------------------------------------------------------===//
// The reference
//===----------------------------------------------------------------------===//

static bool succeeds(sage_status *status) {
  if (!status)
    return true;
  ADD_FAILURE() << sage_status_get_message(status);
  sage_status_destroy(status);
  return false;
}

static std::string describeGroups(Granularity granularity, int64_t block, bool isQuery) {
  auto divide = [](int64_t by) { return "[\"floordiv\",\"n\"," + std::to_string(by) + "]"; };
  int64_t warp = isQuery ? 16 : block;
  switch (granularity) {
  case Granularity::PerTensor:
    return "0";
  case Granularity::PerBlock:
    return divide(block);
  case Granularity::PerWarp:
    return divide(warp);
  case Granularity::PerThread:
    if (isQuery)
      return "[\"add\",[\"mul\"," + divide(16) + ",8],[\"mod\",\"n\",8]]";
    return "[\"add\",[\"mul\"," + divide(block) + ",4],[\"floordiv\",[\"mod\",\"n\",8],2]]";
  case Granularity::PerToken:
    return "\"n\"";
  }
  return {};
}

bool PreparationRun::runReference() {
  const PreparationCase &c = tested;
  sage_program program;
  if (!succeeds(sage_program_named("f16", SAGE_MMA_SYNC_16, &program)))
    return false;
  std::string queryGroups = describeGroups(recipe.getGranularity(), queryBlock, true);
  std::string keyGroups = describeGroups(recipe.getGranularity(), keyTile, false);
  program.recipe.name = "custom";
  // The enumerations agree in order.
  program.recipe.qk = sage_score_type(recipe.getQk());
  program.recipe.granularity = sage_granularity(recipe.getGranularity());
  program.recipe.smooth_q = recipe.smoothsQuery();
  program.recipe.smooth_k = recipe.smoothsKey();
  program.recipe.smooth_v = recipe.smoothsValue();
  program.recipe.pv = sage_value_type(recipe.getPv());
  program.recipe.accumulation = sage_accumulation(recipe.getAccumulation());
  program.recipe.inner = sage_inner(recipe.getInner());
  program.recipe.row_sum = sage_row_sum(recipe.getRowSum());
  program.recipe.interval = recipe.getInterval();
  program.recipe.rotate = sage_rotation(recipe.getRotate());
  program.recipe.range = sage_score_range(recipe.getRange());
  program.geometry.query_block = queryBlock;
  program.geometry.key_tile = keyTile;
  program.geometry.query_groups = queryGroups.c_str();
  program.geometry.key_groups = keyGroups.c_str();
  if (recipe.quantizesValue())
    program.geometry.value_order =
        "[\"add\",[\"add\",[\"mul\",[\"floordiv\",\"n\",16],16],[\"mul\",[\"floordiv\",[\"mod\","
        "\"n\",4],2],8]],[\"add\",[\"mul\",[\"floordiv\",[\"mod\",\"n\",16],4],2],[\"mod\",\"n\","
        "2]]]";
  program.problem.head_dim = c.headDim;
  program.problem.value_head_dim = c.valueHeadDim;
  program.problem.element_type = c.isBF16 ? SAGE_BF16 : SAGE_F16;
  program.problem.layout = SAGE_HEAD_MAJOR;
  program.problem.mask = SAGE_MASK_NONE;
  program.problem.scale = float(1 / std::sqrt(double(c.headDim)));
  auto dense = [&](std::vector<uint16_t> &tensor, int64_t heads, int64_t tokens, int64_t dims) {
    return sage_tensor_dense(tensor.data(), SAGE_HEAD_MAJOR, program.problem.element_type, c.batch,
                             heads, tokens, dims);
  };
  std::vector<uint16_t> output(c.batch * c.queryHeads * c.queries * c.valueHeadDim);
  sage_call call{};
  call.query = dense(query, c.queryHeads, c.queries, c.headDim);
  call.key = dense(key, c.keyHeads, c.keys, c.headDim);
  call.value = dense(value, c.keyHeads, c.keys, c.valueHeadDim);
  call.output = dense(output, c.queryHeads, c.queries, c.valueHeadDim);
  sage_reference_sizes sizes;
  if (!succeeds(sage_reference_get_sizes(&program, &call, &sizes)))
    return false;
  int64_t queryHeads = c.batch * c.queryHeads, keyHeads = c.batch * c.keyHeads;
  queryBlocks = sizes.query_blocks;
  ReferenceResult &r = reference;
  r.queryGroups = sizes.query_groups;
  r.keyGroups = sizes.key_groups;
  auto make = [](auto &vector, int64_t elements) {
    vector.resize(elements);
    return vector.data();
  };
  sage_reference_intermediates intermediates{};
  intermediates.query_mean = make(r.queryMean, queryHeads * queryBlocks * c.headDim);
  intermediates.key_mean = make(r.keyMean, keyHeads * c.headDim);
  intermediates.value_mean = make(r.valueMean, keyHeads * c.valueHeadDim);
  intermediates.query_values = make(r.query, queryHeads * c.queries * c.headDim);
  intermediates.query_scales = make(r.queryScales, queryHeads * sizes.query_groups);
  intermediates.key_values = make(r.key, keyHeads * c.keys * c.headDim);
  intermediates.key_scales = make(r.keyScales, keyHeads * sizes.key_groups);
  intermediates.value_values = make(r.values, keyHeads * c.valueHeadDim * sizes.value_positions);
  intermediates.value_scales = make(r.valueScales, keyHeads * c.valueHeadDim);
  intermediates.score_correction = make(r.scoreCorrection, queryHeads * queryBlocks * c.keys);
  return succeeds(sage_reference_run(&program, &call, nullptr, &intermediates));
}

bool PreparationRun::compileAndInterpret() {
  auto pad = [](int64_t dims) { return (dims + 63) / 64 * 64; };
  paddedHeadDim = pad(tested.headDim);
  paddedValueHeadDim = pad(tested.valueHeadDim);
  if (!compile()) {
    ADD_FAILURE() << "not lowered:\n" << printAttention(tested);
    return false;
  }
  elementBytes = recipe.quantizesScores() ? 1 : 2;
  valueBytes = recipe.quantizesValue() ? 1 : 2;
  return interpret();
}

bool PreparationRun::prepare(const PreparationCase &c) {
  tested = c;
  makeInputs();
  return compileAndInterpret() && (c.isRagged() || runReference());
}

bool PreparationRun::prepare(const PreparationCase &c, std::vector<uint16_t> queryElements,
                             std::vector<uint16_t> keyElements,
                             std::vector<uint16_t> valueElements) {
  tested = c;
  query = std::move(queryElements);
  key = std::move(keyElements);
  value = std::move(valueElements);
  return compileAndInterpret();
}
