// Compiles a sage.attention for the CPU and runs it.

#include "AttentionJit.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "sage/Conversion/SageToLinalg/Passes.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/Dialect/Sage/Transforms/Passes.h"
#include "sage/InitAll.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace sage;
using namespace sage::test;

std::vector<int64_t> AttentionText::orderExtents(int64_t heads, int64_t tokens,
                                                 int64_t dims) const {
  if (isTokenMajor)
    return {batch, tokens, heads, dims};
  return {batch, heads, tokens, dims};
}

static std::string printType(const char *kind, const std::vector<int64_t> &extents, bool isDynamic,
                             const char *element) {
  std::string result = std::string(kind) + "<";
  for (size_t d = 0; d < extents.size(); ++d) {
    // The head dim stays static: it gives the default scale.
    bool dynamic = isDynamic && (extents.size() != 4 || d != 3);
    result += (dynamic ? "?" : std::to_string(extents[d])) + "x";
  }
  return result + element + ">";
}

bool AttentionText::hasLengths() const {
  for (const ExtraOperand &extra : extras)
    if (extra.name == "key_lengths" || extra.name == "query_offsets")
      return true;
  return false;
}

std::string AttentionText::print() const {
  const char *element = isBF16 ? "bf16" : "f16";
  const char *names[] = {"q", "k", "v", "o", "l"};
  std::vector<int64_t> extents[] = {orderExtents(queryHeads, queries, headDim),
                                    orderExtents(keyHeads, keys, headDim),
                                    orderExtents(keyHeads, keys, valueHeadDim),
                                    orderExtents(queryHeads, queries, valueHeadDim),
                                    {batch, queryHeads, queries}};
  std::string arguments, casts, types[5];
  for (int i = 0; i < 5; ++i) {
    std::string name = names[i];
    const char *elementType = i == 4 ? "f32" : element;
    types[i] = printType("tensor", extents[i], isDynamic, elementType);
    std::string memref = printType("memref", extents[i], isDynamic, elementType);
    arguments += (i ? ", %m" : "%m") + name + " : " + memref;
    casts += "  %" + name + " = bufferization.to_tensor %m" + name + " restrict" +
             (i >= 3 ? " writable" : "") + " : " + memref + " to " + types[i] + "\n";
  }
  std::string operands;
  for (size_t i = 0; i < extras.size(); ++i) {
    const ExtraOperand &extra = extras[i];
    std::string name = "x" + std::to_string(i);
    std::string memref = printType("memref", extra.extents, isDynamic, extra.element.c_str());
    std::string tensor = printType("tensor", extra.extents, isDynamic, extra.element.c_str());
    arguments += ", %m" + name + " : " + memref;
    casts += "  %" + name + " = bufferization.to_tensor %m" + name + " restrict : " + memref +
             " to " + tensor + "\n";
    operands += extra.name + "(%" + name + " : " + tensor + ") ";
  }
  std::string target = isPacked ? ", target = #sage.target<chip = \"sm_89\", family = mma_sync, "
                                  "ptx = 87, shared_bytes = 101376, e4m3_mma = true, int4_mma = "
                                  "true, schedules = \"sm_89\">"
                                : "";
  return "func.func @run(" + arguments + ") attributes {llvm.emit_c_interface} {\n" + casts +
         "  %r, %s = sage.attention ins(%q, %k, %v : " + types[0] + ", " + types[1] + ", " +
         types[2] + ") " + operands + "outs(%o, %l : " + types[3] + ", " + types[4] +
         ") {recipe = #sage.recipe<" + recipe + ">, mask = #sage.mask<" + mask +
         ">, layout = #sage.layout<" + (isTokenMajor ? "token_major" : "head_major") + ">" +
         target + attributes + "} -> " + types[3] + ", " + types[4] +
         "\n  bufferization.materialize_in_destination %r in writable %mo : (" + types[3] + ", " +
         printType("memref", extents[3], isDynamic, element) +
         ") -> ()\n  bufferization.materialize_in_destination %s in writable %ml : (" + types[4] +
         ", " + printType("memref", extents[4], isDynamic, "f32") + ") -> ()\n  return\n}\n";
}

/// Writes the value of every operand of the quantized attention, and every mean, to a memref
/// argument.
void AttentionJit::addSinks(ModuleOp module) {
  auto function = *module.getOps<func::FuncOp>().begin();
  std::vector<std::pair<std::string, Value>> values;
  auto add = [&](const char *name, Value value) {
    if (value)
      values.emplace_back(name, value);
  };
  function.walk([&](QuantizedAttentionOp op) {
    add("query", op.getQuery());
    add("key", op.getKey());
    if (op.getValueScales())
      add("value", op.getValue());
    add("query_scales", op.getQueryScales());
    add("key_scales", op.getKeyScales());
    add("value_scales", op.getValueScales());
    add("score_correction", op.getScoreCorrection());
    add("value_mean", op.getValueMean());
  });
  function.walk([&](ScoreCorrectionOp op) { add("query_mean", op.getMean()); });
  function.walk([&](CenterOp op) {
    auto load = op.getInput().getDefiningOp<bufferization::ToTensorOp>();
    if (load.getBuffer() == function.getArgument(1))
      add("key_mean", op.getMean());
  });
  OpBuilder builder(function.getBody().front().getTerminator());
  for (auto &[name, value] : values) {
    auto type = cast<RankedTensorType>(value.getType());
    auto memref = MemRefType::get(type.getShape(), type.getElementType());
    unsigned index = function.getNumArguments();
    if (failed(function.insertArgument(index, memref, {}, value.getLoc())))
      return;
    auto store = bufferization::MaterializeInDestinationOp::create(
        builder, value.getLoc(), Type(), value, function.getArgument(index));
    store.setWritable(true);
    sinks.push_back({name, type});
  }
}

bool AttentionJit::lower(ModuleOp module) {
  Family family = text.family == "wgmma" ? Family::Wgmma : Family::MmaSync;
  module.walk([&](AttentionOp op) {
    recipe = op.getRecipe();
    // Of a geometry in the text, parts count.
    GeometryAttr given = op.getGeometryAttr();
    op.setGeometryAttr(GeometryAttr::getDefault(recipe, family)
                           .withKeyParts(given ? given.getKeyParts() : AffineMapAttr()));
  });
  // With lengths, what is quantized is in a loop and cannot be looked at from outside.
  if (!text.hasLengths()) {
    PassManager quantize(context.get());
    quantize.addPass(createSageSmooth());
    quantize.addPass(createSageQuantize());
    if (failed(quantize.run(module)))
      return false;
    addSinks(module);
  }
  PassManager lower(context.get());
  SageToCpuOptions options;
  buildSageToCpuPipeline(lower, options);
  return succeeded(lower.run(module));
}

AttentionJit::AttentionJit(const AttentionText &text) : text(text) {
  DialectRegistry registry;
  mlir::registerAllDialects(registry);
  registerAllExtensions(registry);
  registerCpuJitTranslations(registry);
  sage::registerAllDialects(registry);
  context = std::make_unique<MLIRContext>(registry);

  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text.print(), context.get());
  if (!module || !lower(*module)) {
    ADD_FAILURE() << "not lowered:\n" << text.print();
    return;
  }
  auto created = CpuJit::create(*module);
  if (!created) {
    ADD_FAILURE() << llvm::toString(created.takeError());
    return;
  }
  jit = std::move(*created);
}

AttentionJit::~AttentionJit() = default;

/// The extents of an intermediate at run time.
static std::vector<int64_t> getExtents(const AttentionText &text, const std::string &name,
                                       RankedTensorType type) {
  bool ofQuery = name.rfind("query", 0) == 0 || name == "score_correction";
  int64_t heads = ofQuery ? text.queryHeads : text.keyHeads;
  int64_t tokens = ofQuery ? text.queries : text.keys;
  int64_t blocks = (text.queries + 127) / 128, positions = (text.keys + 15) / 16 * 16;
  int64_t tile = text.family == "wgmma" ? 128 : 64;
  // Upper bounds of the dynamic extents of scales: the function writes with its own, which must
  // match.
  std::map<std::string, std::vector<int64_t>> dynamic = {
      {"query", {text.batch, heads, tokens, -1}},
      {"key", {text.batch, heads, tokens, -1}},
      {"value", {text.batch, heads, -1, positions}},
      {"query_scales", {text.batch, heads, (tokens + 15) / 16 * 8}},
      {"key_scales", {text.batch, heads, (tokens + tile - 1) / tile * 4}},
      {"value_scales", {text.batch, heads, -1}},
      {"score_correction", {text.batch, heads, blocks, text.keys}},
      {"query_mean", {text.batch, heads, blocks, -1}},
      {"key_mean", {text.batch, heads, 1, -1}},
      {"value_mean", {text.batch, heads, 1, -1}}};
  std::vector<int64_t> extents = dynamic.at(name);
  for (int64_t d = 0; d < type.getRank(); ++d)
    if (!type.isDynamicDim(d))
      extents[d] = type.getDimSize(d);
  return extents;
}

void AttentionJit::run(Buffer &query, Buffer &key, Buffer &value, Buffer &output, Buffer &lse,
                       Intermediates &intermediates, std::vector<Buffer> extras) {
  std::vector<Buffer *> buffers = {&query, &key, &value, &output, &lse};
  for (Buffer &extra : extras)
    buffers.push_back(&extra);
  for (const Sink &sink : sinks) {
    Buffer &buffer = intermediates[sink.name];
    buffer = Buffer(getExtents(text, sink.name, sink.type), sink.type.getElementTypeBitWidth() / 8);
    buffers.push_back(&buffer);
  }
  llvm::Error error = jit->run("run", buffers);
  if (error)
    ADD_FAILURE() << llvm::toString(std::move(error));
}
