// sage-to-runtime-calls: attentions on memrefs as calls of libsage_mgpu.so, artifacts as constants.

#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/Pipelines/Pipelines.h"
#include "sage/Target/Artifact.h"
#include "llvm/ADT/StringMap.h"

namespace sage {
#define GEN_PASS_DEF_SAGETORUNTIMECALLS
#include "sage/Pipelines/Passes.h.inc"
} // namespace sage

using namespace mlir;
using namespace sage;

namespace {

/// Fills a sage_mgpu_attention: 64-bit words.
class CallWriter {
public:
  CallWriter(OpBuilder &builder, AttentionOp op) : b(builder), op(op), loc(op.getLoc()) {}

  /// The address of the filled struct, i64.
  Value write();

private:
  // Of sage_mgpu.h: a tensor's words, and those of a call.
  static constexpr int64_t tensorWords = 9, words = 5 * tensorWords + 6;

  Value index(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
  Value toWord(Value value) { return arith::IndexCastOp::create(b, loc, b.getI64Type(), value); }
  void store(Value word) { memref::StoreOp::create(b, loc, word, buffer, index(next++)); }
  void storeZeros(int64_t count) {
    Value zero = arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(0));
    while (count-- > 0)
      store(zero);
  }
  Value getAddress(Value memref, Value offset);
  void storeTensor(Value memref, Layout layout);
  void storeVector(Value memref);

  OpBuilder &b;
  AttentionOp op;
  Location loc;
  Value buffer;
  int64_t next = 0;
};

class SageToRuntimeCallsPass : public sage::impl::SageToRuntimeCallsBase<SageToRuntimeCallsPass> {
public:
  using SageToRuntimeCallsBase::SageToRuntimeCallsBase;

  void getDependentDialects(DialectRegistry &registry) const override {
    SageToRuntimeCallsBase::getDependentDialects(registry);
    OpPassManager manager(ModuleOp::getOperationName());
    PipelineOptions options;
    buildSageToNVVMPipeline(manager, options);
    manager.getDependentDialects(registry);
  }

  void runOnOperation() override {
    globals.clear();
    SmallVector<AttentionOp> attentions;
    getOperation()->walk([&](AttentionOp op) { attentions.push_back(op); });
    for (AttentionOp op : attentions)
      if (failed(check(op)) || failed(replace(op)))
        return signalPassFailure();
  }

private:
  LogicalResult check(AttentionOp op);
  LogicalResult replace(AttentionOp op);
  FailureOr<memref::GlobalOp> embed(AttentionOp op);
  FailureOr<std::string> compile(AttentionOp op);
  func::FuncOp declare();

  /// By the op's types and attributes.
  llvm::StringMap<memref::GlobalOp> globals;
};

} // namespace

Value CallWriter::getAddress(Value memref, Value offset) {
  Value pointer = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, memref);
  unsigned bits = cast<MemRefType>(memref.getType()).getElementTypeBitWidth();
  Value bytes = arith::MulIOp::create(b, loc, offset, index(llvm::divideCeil(bits, 8)));
  return toWord(arith::AddIOp::create(b, loc, pointer, bytes));
}

void CallWriter::storeTensor(Value memref, Layout layout) {
  if (!memref)
    return storeZeros(tensorWords);
  auto metadata = memref::ExtractStridedMetadataOp::create(b, loc, memref);
  store(getAddress(memref, metadata.getOffset()));
  const unsigned order[] = {0, getHeadDimension(layout), getTokenDimension(layout), 3};
  for (unsigned dimension : order)
    store(toWord(metadata.getSizes()[dimension]));
  for (unsigned dimension : order)
    store(toWord(metadata.getStrides()[dimension]));
}

void CallWriter::storeVector(Value memref) {
  if (!memref)
    return storeZeros(1);
  auto metadata = memref::ExtractStridedMetadataOp::create(b, loc, memref);
  store(getAddress(memref, metadata.getOffset()));
}

Value CallWriter::write() {
  {
    // Once for a call of the function, in loops too.
    OpBuilder::InsertionGuard guard(b);
    Operation *scope = op->getParentWithTrait<OpTrait::AutomaticAllocationScope>();
    b.setInsertionPointToStart(&scope->getRegion(0).front());
    buffer = memref::AllocaOp::create(b, loc, MemRefType::get(words, b.getI64Type()));
  }
  storeTensor(op.getQuery(), op.getLayout());
  storeTensor(op.getKey(), op.getLayout());
  storeTensor(op.getValue(), op.getLayout());
  storeTensor(op.getOutput(), op.getLayout());
  storeTensor(op.getBias(), Layout::HeadMajor);
  storeVector(op.getLse());
  storeVector(op.getKeyLengths());
  storeVector(op.getSinks());
  storeVector(op.getQueryOffsets());
  storeVector(op.getKeyOffsets());
  if (op.isPacked()) {
    Value entries = memref::DimOp::create(b, loc, op.getQueryOffsets(), index(0));
    store(toWord(arith::SubIOp::create(b, loc, entries, index(1))));
  } else {
    storeZeros(1);
  }
  return toWord(memref::ExtractAlignedPointerAsIndexOp::create(b, loc, buffer));
}

LogicalResult SageToRuntimeCallsPass::check(AttentionOp op) {
  if (!isa<MemRefType>(op.getQuery().getType())) {
    auto diagnostic = op.emitOpError() << "operands must be memrefs to become a call, but got "
                                       << op.getQuery().getType();
    diagnostic.attachNote() << "run one-shot-bufferize first";
    return diagnostic;
  }
  if (!op->getParentWithTrait<OpTrait::AutomaticAllocationScope>())
    return op.emitOpError() << "must be in a function to become a call";
  const std::pair<StringRef, Value> contiguous[] = {{"log-sum-exp", op.getLse()},
                                                    {"key lengths", op.getKeyLengths()},
                                                    {"sinks", op.getSinks()},
                                                    {"query offsets", op.getQueryOffsets()},
                                                    {"key offsets", op.getKeyOffsets()}};
  for (auto [name, operand] : contiguous) {
    auto type = operand ? cast<MemRefType>(operand.getType()) : MemRefType();
    if (!type || type.areTrailingDimsContiguous(type.getRank()))
      continue;
    auto diagnostic = op.emitOpError() << name << " must be contiguous, but got " << type;
    diagnostic.attachNote() << "copy them to a memref without a layout, or bufferize function "
                               "boundaries with identity layouts";
    return diagnostic;
  }
  return success();
}

/// The op on tensors of the same shapes, alone in a module of its own.
static ModuleOp isolate(OpBuilder &b, AttentionOp op) {
  auto module = ModuleOp::create(b, op.getLoc());
  b.setInsertionPointToStart(module.getBody());
  SmallVector<Type> types;
  for (Type type : op->getOperandTypes()) {
    auto memref = cast<MemRefType>(type);
    types.push_back(RankedTensorType::get(memref.getShape(), memref.getElementType()));
  }
  SmallVector<Type> results(ArrayRef<Type>(types).take_back(op.getOutputs().size()));
  auto function =
      func::FuncOp::create(b, op.getLoc(), "attention", b.getFunctionType(types, results));
  b.setInsertionPointToStart(function.addEntryBlock());
  OperationState state(op.getLoc(), AttentionOp::getOperationName(), function.getArguments(),
                       results);
  state.propertiesAttr = op->getPropertiesAsAttribute();
  Operation *copy = b.create(state);
  func::ReturnOp::create(b, op.getLoc(), copy->getResults());
  return module;
}

FailureOr<std::string> SageToRuntimeCallsPass::compile(AttentionOp op) {
  OpBuilder b(&getContext());
  b.setInsertionPointToEnd(getOperation().getBody());
  ModuleOp module = isolate(b, op);
  OpPassManager manager(ModuleOp::getOperationName());
  PipelineOptions options;
  options.chip = chip;
  buildSageToNVVMPipeline(manager, options);
  FailureOr<std::string> artifact = failure();
  if (succeeded(runPipeline(manager, module))) {
    FailureOr<tile::ProgramOp> program = findProgram(module);
    if (succeeded(program))
      artifact = emitArtifact(*program);
  }
  module.erase();
  return artifact;
}

FailureOr<memref::GlobalOp> SageToRuntimeCallsPass::embed(AttentionOp op) {
  std::string key;
  llvm::raw_string_ostream stream(key);
  stream << op->getPropertiesAsAttribute();
  for (Type type : op->getOperandTypes())
    stream << cast<MemRefType>(type).getShape().size() << " "
           << RankedTensorType::get(cast<MemRefType>(type).getShape(),
                                    cast<MemRefType>(type).getElementType());
  memref::GlobalOp &global = globals[key];
  if (global)
    return global;
  FailureOr<std::string> artifact = compile(op);
  if (failed(artifact))
    return failure();
  OpBuilder b(&getContext());
  b.setInsertionPointToStart(getOperation().getBody());
  auto shape = static_cast<int64_t>(artifact->size());
  ArrayRef<int8_t> bytes(reinterpret_cast<const int8_t *>(artifact->data()), artifact->size());
  auto text = DenseElementsAttr::get(RankedTensorType::get(shape, b.getI8Type()), bytes);
  std::string name;
  unsigned number = 0;
  do
    name = ("sage_artifact_" + Twine(number++)).str();
  while (getOperation().lookupSymbol(name));
  global = memref::GlobalOp::create(b, op.getLoc(), name, b.getStringAttr("private"),
                                    MemRefType::get(shape, b.getI8Type()), text,
                                    /*constant=*/true, /*alignment=*/IntegerAttr());
  return global;
}

func::FuncOp SageToRuntimeCallsPass::declare() {
  StringRef name = memory == CallMemory::Host ? "sage_mgpu_attend_host" : "sage_mgpu_attend_device";
  if (auto found = getOperation().lookupSymbol<func::FuncOp>(name))
    return found;
  OpBuilder b(&getContext());
  b.setInsertionPointToStart(getOperation().getBody());
  Type word = b.getI64Type();
  auto function = func::FuncOp::create(b, getOperation().getLoc(), name,
                                       b.getFunctionType({word, word, word}, {}));
  function.setPrivate();
  return function;
}

LogicalResult SageToRuntimeCallsPass::replace(AttentionOp op) {
  FailureOr<memref::GlobalOp> global = embed(op);
  if (failed(global))
    return failure();
  OpBuilder b(op);
  Location loc = op.getLoc();
  Value call = CallWriter(b, op).write();
  Value text = memref::GetGlobalOp::create(b, loc, global->getType(), global->getSymName());
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, text);
  Value word = arith::IndexCastOp::create(b, loc, b.getI64Type(), address);
  Value size =
      arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(global->getType().getNumElements()));
  func::CallOp::create(b, loc, declare(), ValueRange{word, size, call});
  op.erase();
  return success();
}
