// The only source with PTX text.

#include "InlinePtx.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace sage::tile {
namespace {

/// Operands of an inline assembly statement: results are $0.., then inputs; tied inputs share the
/// results' registers.
struct Statement {
  std::string text;
  SmallVector<Type> results;
  SmallVector<Value> inputs, tied;

  SmallVector<Value> emit(OpBuilder &builder, Location loc, bool hasSideEffects = true) const;
};

StringRef getConstraint(Type type) {
  if (type.isF32())
    return "f";
  return type.isInteger(64) ? "l" : "r";
}

SmallVector<Value> Statement::emit(OpBuilder &builder, Location loc, bool hasSideEffects) const {
  MLIRContext *context = builder.getContext();
  std::string constraints;
  llvm::raw_string_ostream stream(constraints);
  SmallVector<std::string> list;
  for (Type type : results)
    list.push_back(("=" + getConstraint(type)).str());
  for (Value input : inputs)
    list.push_back(getConstraint(input.getType()).str());
  for (size_t i = 0; i < tied.size(); ++i)
    list.push_back(std::to_string(i));
  llvm::interleave(list, stream, ",");
  SmallVector<Value> operands(inputs);
  llvm::append_range(operands, tied);
  SmallVector<Type, 1> types;
  if (!results.empty())
    types.push_back(results.size() == 1 ? results.front()
                                        : Type(LLVM::LLVMStructType::getLiteral(context, results)));
  auto op = LLVM::InlineAsmOp::create(
      builder, loc, types, operands, text, constraints, hasSideEffects, /*is_align_stack=*/false,
      LLVM::TailCallKind::None, LLVM::AsmDialectAttr::get(context, LLVM::AsmDialect::AD_ATT),
      /*operand_attrs=*/ArrayAttr());
  if (results.size() <= 1)
    return SmallVector<Value>(op->getResults());
  SmallVector<Value> values;
  for (int64_t i = 0, count = results.size(); i < count; ++i)
    values.push_back(LLVM::ExtractValueOp::create(builder, loc, op.getRes(), i));
  return values;
}

/// "{$first,$first+1,…}"
std::string listOperands(size_t first, size_t count) {
  std::string text = "{";
  for (size_t i = 0; i < count; ++i)
    text += (i == 0 ? "$" : ",$") + std::to_string(first + i);
  return text + "}";
}

} // namespace

SmallVector<Value> emitWgmma(OpBuilder &builder, Location loc, int64_t columns, int64_t depth,
                             ArrayRef<StringRef> kinds, Type registerType,
                             ArrayRef<Value> accumulator, ArrayRef<Value> a, Value b) {
  size_t count = columns / (registerType.isInteger(32) && kinds[0] == "f16" ? 4 : 2);
  Statement statement;
  statement.results.assign(count, registerType);
  llvm::append_range(statement.inputs, a);
  statement.inputs.push_back(b);
  llvm::append_range(statement.tied, accumulator);
  llvm::raw_string_ostream text(statement.text);
  // PTX ISA, "wgmma.mma_async": without scale-d, D = A·B. Floats have factors ±1 for A and B;
  // 16-bit types also say that B (and A in shared memory) is K-major.
  text << "{ .reg .pred p; setp.ne.b32 p, " << (accumulator.empty() ? 0 : 1)
       << ", 0; wgmma.mma_async.sync.aligned.m64n" << columns << "k" << depth << "." << kinds[0]
       << "." << kinds[1] << "." << kinds[2] << " " << listOperands(0, count) << ", "
       << (a.size() == 1 ? "$" + std::to_string(count) : listOperands(count, a.size())) << ", $"
       << count + a.size() << ", p";
  if (kinds[0] != "s32")
    text << ", 1, 1";
  if (depth == 16)
    text << (a.size() == 1 ? ", 0, 0" : ", 0");
  text << "; }";
  return statement.emit(builder, loc);
}

SmallVector<Value> emitWgmmaWait(OpBuilder &builder, Location loc, int64_t pending,
                                 ArrayRef<Value> accumulator, ArrayRef<Value> keep) {
  Statement statement;
  statement.text = "wgmma.wait_group.sync.aligned " + std::to_string(pending) + ";";
  statement.results.assign(accumulator.size(), accumulator.front().getType());
  llvm::append_range(statement.inputs, keep);
  llvm::append_range(statement.tied, accumulator);
  return statement.emit(builder, loc);
}

void emitArrive(OpBuilder &builder, Location loc, Value barrier, Value predicate) {
  // Predicated: behind a branch the assembler no longer proves that the loop around it is uniform.
  NVVM::InlinePtxOp::create(builder, loc, TypeRange(), ValueRange{barrier}, ValueRange(),
                            "mbarrier.arrive.shared::cta.b64 _, [$0];", predicate);
}

Value emitReloadBlockId(OpBuilder &builder, Location loc) {
  return Statement{"mov.u32 $0, %ctaid.x;", {builder.getI32Type()}, {}, {}}
      .emit(builder, loc)
      .front();
}

Value emitReloadLaneId(OpBuilder &builder, Location loc) {
  return Statement{"mov.u32 $0, %laneid;", {builder.getI32Type()}, {}, {}}
      .emit(builder, loc)
      .front();
}

void emitScheduleBarrier(OpBuilder &builder, Location loc, int64_t number) {
  // ptxas schedules basic blocks, and a trap ends one. A grid has at most 65535 blocks in z (CUDA
  // Programming Guide, "Compute Capabilities"); ptxas does not use that.
  Statement{"{ .reg .pred p; .reg .b32 z; mov.u32 z, %nctaid.z; setp.gt.u32 p, z, " +
                std::to_string(65535 + number) + "; @p trap; }",
            {},
            {},
            {}}
      .emit(builder, loc);
}

void emitGridControl(OpBuilder &builder, Location loc, bool waits) {
  Statement{waits ? "griddepcontrol.wait;" : "griddepcontrol.launch_dependents;", {}, {}, {}}.emit(
      builder, loc);
}

void emitTryWaitLoop(OpBuilder &builder, Location loc, Value barrier, Value parity) {
  Statement statement;
  // Labels are local to the braces.
  statement.text =
      "{ .reg .pred done; wait: mbarrier.try_wait.parity.shared::cta.b64 done, [$0], $1; "
      "@!done bra wait; }";
  statement.inputs = {LLVM::PtrToIntOp::create(builder, loc, builder.getI32Type(), barrier),
                      parity};
  statement.emit(builder, loc);
}

Value emitPackSaturate(OpBuilder &builder, Location loc, Value a0, Value a1, Value high) {
  Statement statement;
  statement.text = "cvt.pack.sat.s8.s32.b32 $0, $1, $2, $3;";
  statement.results = {builder.getI32Type()};
  statement.inputs = {a1, a0, high};
  return statement.emit(builder, loc, /*hasSideEffects=*/false).front();
}

SmallVector<Value> emitButterfly(OpBuilder &builder, Location loc, ArrayRef<Value> values,
                                 ArrayRef<int64_t> distances, ValueRange factors,
                                 bool flushesDenormals) {
  size_t count = values.size();
  Statement statement;
  statement.results.assign(count, values.front().getType());
  llvm::append_range(statement.inputs, factors);
  llvm::append_range(statement.tied, values);
  llvm::raw_string_ostream text(statement.text);
  text << "{ .reg .f32 other; ";
  for (auto [i, distance] : llvm::enumerate(distances))
    for (size_t value = 0; value < count; ++value)
      text << "shfl.sync.bfly.b32 other, $" << value << ", " << distance << ", 31, -1; fma.rn"
           << (flushesDenormals ? ".ftz" : "") << ".f32 $" << value << ", $" << value << ", $"
           << count + i << ", other; ";
  text << "}";
  return statement.emit(builder, loc);
}

} // namespace sage::tile
