// Runs the host program: workspace slices, then the launches in order.

#include "sage/Dialect/SageTile/Interpreter/Interpreter.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace sage::tile {

ProblemInstance ProblemInstance::getContiguous(ArrayRef<int64_t> shape, int64_t headDim,
                                               int64_t valueHeadDim, bool tokenMajor,
                                               double scale) {
  ProblemInstance problem;
  problem.scale = scale;
  llvm::copy(shape, problem.symbols.begin());
  problem.symbols[ProgramOp::partsSymbol] = 1;
  int64_t heads[] = {shape[1], shape[2], shape[2], shape[1]};
  int64_t tokens[] = {shape[3], shape[4], shape[4], shape[3]};
  int64_t dims[] = {headDim, headDim, valueHeadDim, valueHeadDim};
  for (int tensor = 0; tensor < 4; ++tensor) {
    int64_t *strides = problem.symbols.data() + 5 + 3 * tensor;
    strides[0] = heads[tensor] * tokens[tensor] * dims[tensor];
    strides[1] = tokenMajor ? dims[tensor] : tokens[tensor] * dims[tensor];
    strides[2] = tokenMajor ? heads[tensor] * dims[tensor] : dims[tensor];
    problem.symbols[ProgramOp::stepSymbol + 2 + tensor] = 16;
  }
  return problem;
}

namespace {

class ProgramRunner {
public:
  ProgramRunner(ProgramOp program, const ProblemInstance &problem,
                const llvm::StringMap<DeviceBuffer> &buffers, const InterpreterOptions &options,
                llvm::StringMap<std::vector<char>> &workspace)
      : program(program), problem(problem), buffers(buffers), options(options),
        workspace(workspace) {}

  LogicalResult run() { return run(program.getBody().front()); }

private:
  FailureOr<SmallVector<int64_t>> evaluateAll(Operation *op, AffineMap map) {
    SmallVector<int64_t> values;
    for (AffineExpr expr : map.getResults()) {
      std::optional<int64_t> value = evaluate(expr, {}, problem.symbols);
      if (!value)
        return op->emitOpError("expression must not divide by a value that is not positive: ")
               << AffineMapAttr::get(map);
      values.push_back(*value);
    }
    return values;
  }

  LogicalResult allocate(WorkspaceOp op) {
    FailureOr<SmallVector<int64_t>> bytes = evaluateAll(op, op.getBytes());
    if (failed(bytes))
      return failure();
    if (bytes->front() < 0)
      return op.emitOpError("size must not be negative, but got ") << bytes->front();
    // 0xFF is NaN in every float type: what a kernel forgot to write shows.
    std::vector<char> &slice = workspace[op.getName()];
    slice.assign(bytes->front(), static_cast<char>(0xFF));
    slices[op.getName()] = {slice.data(), static_cast<int64_t>(slice.size())};
    return success();
  }

  FailureOr<DeviceBuffer> find(LaunchOp op, StringRef name) {
    if (auto slice = slices.find(name); slice != slices.end())
      return slice->second;
    if (auto buffer = buffers.find(name); buffer != buffers.end())
      return buffer->second;
    return op.emitOpError("buffer must be given by the caller or be a workspace slice: \"")
           << name << "\"";
  }

  FailureOr<LaunchArgument> getArgument(LaunchOp op, Attribute attribute) {
    if (auto pointer = dyn_cast<PointerArgAttr>(attribute)) {
      FailureOr<DeviceBuffer> buffer = find(op, pointer.getBuffer());
      if (failed(buffer))
        return failure();
      return LaunchArgument::get(*buffer);
    }
    if (auto integer = dyn_cast<IntegerArgAttr>(attribute)) {
      FailureOr<SmallVector<int64_t>> value = evaluateAll(op, integer.getValue());
      if (failed(value))
        return failure();
      return LaunchArgument::get(value->front());
    }
    if (auto scale = dyn_cast<ScaleArgAttr>(attribute))
      return LaunchArgument::get(
          static_cast<float>(scale.getFactor().getValueAsDouble() * problem.scale));
    auto map = dyn_cast<TensorMapArgAttr>(attribute);
    if (!map)
      return op.emitOpError("argument must be a pointer, integer, scale or tensor map, but got ")
             << attribute;
    FailureOr<DeviceBuffer> buffer = find(op, map.getBuffer());
    FailureOr<SmallVector<int64_t>> extents = evaluateAll(op, map.getExtents());
    FailureOr<SmallVector<int64_t>> strides = evaluateAll(op, map.getStrides());
    if (failed(buffer) || failed(extents) || failed(strides))
      return failure();
    TensorMapDescription description{*buffer, {}, {}};
    description.extents.assign(extents->begin(), extents->end());
    description.strides.assign(strides->begin(), strides->end());
    return LaunchArgument::get(std::move(description));
  }

  LogicalResult run(Block &block) {
    for (Operation &op : block) {
      LogicalResult result = success();
      if (auto slice = dyn_cast<WorkspaceOp>(op))
        result = allocate(slice);
      else if (auto launch = dyn_cast<LaunchOp>(op))
        result = run(launch);
      else if (auto repeat = dyn_cast<RepeatOp>(op))
        result = run(repeat);
      if (failed(result))
        return failure();
    }
    return success();
  }

  LogicalResult run(RepeatOp op) {
    FailureOr<SmallVector<int64_t>> count = evaluateAll(op, op.getCount());
    if (failed(count))
      return failure();
    for (int64_t step = 0; step < count->front(); ++step) {
      problem.symbols[ProgramOp::stepSymbol] = step;
      if (failed(run(op.getBody().front())))
        return failure();
    }
    return success();
  }

  LogicalResult run(LaunchOp op) {
    FailureOr<SmallVector<int64_t>> grid = evaluateAll(op, op.getGrid());
    if (failed(grid))
      return failure();
    if (grid->front() <= 0)
      return success();
    auto kernel =
        symbols.lookupNearestSymbolFrom<KernelOp>(program->getParentOp(), op.getKernelAttr());
    if (!kernel)
      return op.emitOpError("kernel must be a sage_tile.kernel of the module, but got ")
             << op.getKernelAttr();
    SmallVector<LaunchArgument> arguments;
    for (Attribute attribute : op.getArgs()) {
      FailureOr<LaunchArgument> argument = getArgument(op, attribute);
      if (failed(argument))
        return failure();
      arguments.push_back(std::move(*argument));
    }
    int64_t blocks = grid->front();
    if (kernel->hasAttr("persistent"))
      blocks = std::min(blocks, options.persistentBlocks);
    return interpretKernel(kernel, arguments, blocks, options);
  }

  ProgramOp program;
  ProblemInstance problem;
  const llvm::StringMap<DeviceBuffer> &buffers;
  const InterpreterOptions &options;
  llvm::StringMap<std::vector<char>> &workspace;
  llvm::StringMap<DeviceBuffer> slices;
  SymbolTableCollection symbols;
};

} // namespace

LogicalResult interpretProgram(ProgramOp program, const ProblemInstance &problem,
                               const llvm::StringMap<DeviceBuffer> &buffers,
                               const InterpreterOptions &options,
                               llvm::StringMap<std::vector<char>> *workspace) {
  llvm::StringMap<std::vector<char>> own;
  return ProgramRunner(program, problem, buffers, options, workspace ? *workspace : own).run();
}

} // namespace sage::tile
