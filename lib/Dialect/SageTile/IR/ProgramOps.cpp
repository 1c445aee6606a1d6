// The host program: workspace slices and launches.

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace sage::tile {

static constexpr StringLiteral symbolNames[] = {
    "B",           "Hq",           "Hkv",      "Nq",     "Nk",      "query_b",     "query_h",
    "query_n",     "key_b",        "key_h",    "key_n",  "value_b", "value_h",     "value_n",
    "output_b",    "output_h",     "output_n", "step",   "S",       "query_align", "key_align",
    "value_align", "output_align", "bias_b",   "bias_h", "bias_q",  "bias_k",      "parts"};
static constexpr StringLiteral callerBuffers[] = {
    "query", "key",         "value", "output",        "lse",
    "bias",  "key_lengths", "sinks", "query_offsets", "key_offsets"};

ArrayRef<StringLiteral> ProgramOp::getSymbolNames() { return symbolNames; }

static LogicalResult verifyProblemMap(Operation *op, StringRef what, AffineMap map,
                                      unsigned numResults) {
  constexpr unsigned numProblemSymbols = std::size(symbolNames);
  if (map.getNumDims() != 0 || map.getNumSymbols() > numProblemSymbols)
    return op->emitOpError(what) << " must be a map of no dimensions and at most "
                                 << numProblemSymbols << " symbols, but got "
                                 << AffineMapAttr::get(map);
  if (map.getNumResults() != numResults)
    return op->emitOpError(what) << " must have " << numResults << " results, but got "
                                 << map.getNumResults();
  if (map.getNumSymbols() > ProgramOp::stepSymbol &&
      map.isFunctionOfSymbol(ProgramOp::stepSymbol) && !isa<RepeatOp>(op->getParentOp()))
    return op->emitOpError(what) << " must not depend on the step outside of a repetition, but got "
                                 << AffineMapAttr::get(map);
  return success();
}

SmallVector<LaunchOp> ProgramOp::getLaunches() {
  SmallVector<LaunchOp> launches;
  getBody().walk([&](LaunchOp launch) { launches.push_back(launch); });
  return launches;
}

LogicalResult ProgramOp::verify() {
  llvm::StringSet<> names;
  for (StringRef name : callerBuffers)
    names.insert(name);
  for (Operation &op : getBody().front()) {
    auto workspace = dyn_cast<WorkspaceOp>(op);
    if (!workspace && !isa<LaunchOp, RepeatOp>(op))
      return op.emitOpError(
          "must not be in a program: it holds workspace slices, launches and repetitions");
    // Nested ops are verified after this one: a slice may still lack its name.
    if (workspace && workspace.getNameAttr() && !names.insert(workspace.getName()).second)
      return workspace.emitOpError("buffer name must be new, but got ") << workspace.getNameAttr();
  }
  return success();
}

LogicalResult RepeatOp::verify() {
  for (Operation &op : getBody().front())
    if (!isa<LaunchOp>(op))
      return op.emitOpError("must not be in a repetition: it holds launches");
  return verifyProblemMap(*this, "count", getCount(), 1);
}

LogicalResult WorkspaceOp::verify() { return verifyProblemMap(*this, "size", getBytes(), 1); }

/// Whether `name` is a caller's buffer or a workspace slice that precedes `op`.
static bool isBuffer(Operation *op, StringRef name) {
  if (llvm::is_contained(callerBuffers, name))
    return true;
  for (Operation &other : op->getParentOfType<ProgramOp>().getBody().front())
    if (auto workspace = dyn_cast<WorkspaceOp>(other))
      if (workspace.getName() == name)
        return true;
  return false;
}

static LogicalResult verifyArgument(LaunchOp op, unsigned index, Attribute argument, Type type) {
  auto mismatch = [&](StringRef expected) {
    return op.emitOpError("argument #")
           << index << " must be " << expected << ", but got " << argument;
  };
  StringRef buffer;
  if (isa<MemRefType>(type)) {
    auto pointer = dyn_cast<PointerArgAttr>(argument);
    if (!pointer)
      return mismatch("a pointer");
    buffer = pointer.getBuffer();
  } else if (auto mapType = dyn_cast<TensorMapType>(type)) {
    auto map = dyn_cast<TensorMapArgAttr>(argument);
    if (!map)
      return mismatch("a tensor map");
    buffer = map.getBuffer();
    unsigned rank = map.getBox().size();
    if (rank < 2 || rank > 5)
      return mismatch("a tensor map of rank 2 to 5");
    if (failed(verifyProblemMap(op, "tensor map extents", map.getExtents(), rank)) ||
        failed(verifyProblemMap(op, "tensor map strides", map.getStrides(), rank - 1)))
      return failure();
    // The box is spelled innermost first, as the driver's API does.
    if (map.getElementType() != mapType.getElementType() ||
        map.getSwizzle() != mapType.getSwizzle() || map.getBox()[0] != mapType.getShape()[1] ||
        map.getBox()[1] != mapType.getShape()[0] ||
        llvm::any_of(map.getBox().drop_front(2), [](int64_t extent) { return extent != 1; }))
      return op.emitOpError("argument #")
             << index << " must describe boxes of " << type << ", but got " << argument;
  } else if (type.isF32()) {
    if (!isa<ScaleArgAttr>(argument))
      return mismatch("a scale");
  } else {
    auto integer = dyn_cast<IntegerArgAttr>(argument);
    if (!integer || integer.getType() != type)
      return op.emitOpError("argument #")
             << index << " must be an integer of type " << type << ", but got " << argument;
    return verifyProblemMap(op, "integer argument", integer.getValue(), 1);
  }
  if (!buffer.empty() && !isBuffer(op, buffer))
    return op.emitOpError("argument #")
           << index << " must name a buffer of the program, but got \"" << buffer << "\"";
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  if (failed(verifyProblemMap(*this, "grid", getGrid(), 1)))
    return failure();
  Operation *root = (*this)->getParentOfType<ProgramOp>();
  auto kernel = symbolTable.lookupNearestSymbolFrom<KernelOp>(root->getParentOp(), getKernelAttr());
  // Later levels replace the kernel by an llvm.func; its arguments were checked before.
  if (!kernel)
    return success();
  if (getOverlaps() && kernel.getBody().getOps<GridWaitOp>().empty()) {
    InFlightDiagnostic diagnostic =
        emitOpError("kernel of a launch that overlaps must have a sage_tile.grid_wait");
    diagnostic.attachNote(kernel.getLoc()) << "the kernel is here";
    return diagnostic;
  }
  SmallVector<Type> types;
  for (Type type : kernel.getArgumentTypes()) {
    types.push_back(type);
    if (auto memref = dyn_cast<MemRefType>(type)) {
      auto [strides, offset] = memref.getStridesAndOffset();
      types.append(llvm::count(strides, ShapedType::kDynamic), IntegerType::get(getContext(), 64));
    }
  }
  if (types.size() != getArgs().size()) {
    InFlightDiagnostic diagnostic = emitOpError("launch must have ")
                                    << types.size() << " arguments, but got " << getArgs().size();
    diagnostic.attachNote(kernel.getLoc())
        << "a memref takes a pointer and one i64 for each dynamic stride";
    return diagnostic;
  }
  for (auto [index, argument, type] : llvm::enumerate(getArgs(), types))
    if (failed(verifyArgument(*this, index, argument, type)))
      return failure();
  return success();
}

} // namespace sage::tile
