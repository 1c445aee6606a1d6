// Binds launch arguments to a kernel's parameters and runs the blocks of a grid.

#include "Block.h"

#include "mlir/IR/BuiltinTypes.h"

#include <algorithm>
#include <atomic>
#include <thread>

using namespace mlir;

namespace sage::tile {

LaunchArgument LaunchArgument::get(DeviceBuffer buffer) {
  LaunchArgument argument;
  argument.kind = Kind::Pointer;
  argument.pointer = buffer;
  return argument;
}
LaunchArgument LaunchArgument::get(int64_t value) {
  LaunchArgument argument;
  argument.kind = Kind::Integer;
  argument.integer = value;
  return argument;
}
LaunchArgument LaunchArgument::get(float value) {
  LaunchArgument argument;
  argument.kind = Kind::Float;
  argument.number = value;
  return argument;
}
LaunchArgument LaunchArgument::get(TensorMapDescription map) {
  LaunchArgument argument;
  argument.kind = Kind::TensorMap;
  argument.tensorMap = std::move(map);
  return argument;
}

namespace interpreter {
namespace {

/// The kernel's parameters as values; owns what the values point to.
struct Binding {
  std::vector<std::unique_ptr<GlobalView>> views;
  std::vector<std::unique_ptr<TensorMapDescription>> maps;
  std::vector<Value> values;
};

class Binder {
public:
  Binder(KernelOp kernel, ArrayRef<LaunchArgument> arguments)
      : kernel(kernel), arguments(arguments) {}

  LogicalResult bind(Binding &binding) {
    for (Type type : kernel.getArgumentTypes()) {
      Value &value = binding.values.emplace_back();
      if (failed(bindOne(type, value, binding)))
        return failure();
    }
    if (next != arguments.size())
      return kernel.emitOpError("launch must have ")
             << next << " arguments, but got " << arguments.size();
    return success();
  }

private:
  const LaunchArgument *take(LaunchArgument::Kind kind, StringRef what) {
    if (next < arguments.size() && arguments[next].kind == kind)
      return &arguments[next++];
    kernel.emitOpError("launch argument #") << next << " must be " << what;
    return nullptr;
  }

  LogicalResult bindOne(Type type, Value &value, Binding &binding) {
    if (auto memref = dyn_cast<MemRefType>(type))
      return bindMemref(memref, value, binding);
    if (auto map = dyn_cast<TensorMapType>(type)) {
      const LaunchArgument *argument = take(LaunchArgument::Kind::TensorMap, "a tensor map");
      if (!argument || failed(verifyTensorMap(map, argument->tensorMap)))
        return failure();
      binding.maps.push_back(std::make_unique<TensorMapDescription>(argument->tensorMap));
      value.tensorMap = binding.maps.back().get();
      return success();
    }
    if (type.isF32()) {
      const LaunchArgument *argument = take(LaunchArgument::Kind::Float, "a float");
      if (!argument)
        return failure();
      value.scalar.number = argument->number;
      return success();
    }
    const LaunchArgument *argument = take(LaunchArgument::Kind::Integer, "an integer");
    if (!argument)
      return failure();
    value.scalar.integer = wrapInteger(argument->integer, type.getIntOrFloatBitWidth());
    if (value.scalar.integer != argument->integer)
      return kernel.emitOpError("launch argument must fit in ")
             << type << ", but got " << argument->integer;
    return success();
  }

  LogicalResult bindMemref(MemRefType type, Value &value, Binding &binding) {
    const LaunchArgument *pointer = take(LaunchArgument::Kind::Pointer, "a pointer");
    if (!pointer)
      return failure();
    auto view = std::make_unique<GlobalView>();
    view->buffer = pointer->pointer;
    std::optional<ElementKind> kind = getElementKind(type.getElementType());
    if (!kind)
      return kernel.emitOpError("cannot be interpreted: memref of ") << type.getElementType();
    view->kind = *kind;
    for (int64_t size : type.getShape())
      view->sizes.push_back(ShapedType::isDynamic(size) ? -1 : size);
    auto [strides, offset] = type.getStridesAndOffset();
    for (int64_t stride : strides) {
      if (ShapedType::isDynamic(stride)) {
        const LaunchArgument *argument =
            take(LaunchArgument::Kind::Integer, "an integer: a dynamic stride");
        if (!argument)
          return failure();
        stride = argument->integer;
      }
      view->strides.push_back(stride);
    }
    value.memref = view.get();
    binding.views.push_back(std::move(view));
    return success();
  }

  /// What the driver checks when it encodes a tensor map.
  LogicalResult verifyTensorMap(TensorMapType type, const TensorMapDescription &map) {
    if (map.extents.size() < 2 || map.strides.size() + 1 != map.extents.size())
      return kernel.emitOpError("tensor map must have at least 2 extents, and strides for all but "
                                "the first");
    int64_t bytes = type.getElementType().getIntOrFloatBitWidth() / 8;
    int64_t last = map.extents[0] * bytes;
    for (auto [index, extent] : llvm::enumerate(map.extents)) {
      if (extent <= 0)
        return kernel.emitOpError("tensor map must have positive extents, but got ") << extent;
      if (index == 0)
        continue;
      int64_t stride = map.strides[index - 1];
      if (stride <= 0 || stride % 16 != 0)
        return kernel.emitOpError("tensor map must have strides of multiples of 16 bytes, but got ")
               << stride;
      last += (extent - 1) * stride;
    }
    if (last > map.buffer.bytes)
      return kernel.emitOpError("tensor map must be inside its buffer's ")
             << map.buffer.bytes << " bytes, but spans " << last;
    return success();
  }

  KernelOp kernel;
  ArrayRef<LaunchArgument> arguments;
  size_t next = 0;
};

} // namespace

static void report(int64_t block, const Failure &failure) {
  InFlightDiagnostic diagnostic = failure.op->emitOpError(failure.message);
  for (auto &[op, note] : failure.notes)
    diagnostic.attachNote(op->getLoc()) << note;
  diagnostic.attachNote() << "in block " << block;
}

} // namespace interpreter

LogicalResult interpretKernel(KernelOp kernel, ArrayRef<LaunchArgument> arguments, int64_t blocks,
                              const InterpreterOptions &options) {
  using namespace interpreter;
  std::unique_ptr<Code> code = compile(kernel);
  Binding binding;
  if (!code || failed(Binder(kernel, arguments).bind(binding)))
    return failure();

  // Blocks are taken in order; the failure that is reported is the first one's, for any number of
  // threads.
  std::vector<std::optional<Failure>> failures(blocks);
  std::atomic<int64_t> next{0}, firstFailure{blocks};
  int64_t count = options.threads ? options.threads : std::thread::hardware_concurrency();
  count = std::max<int64_t>(1, std::min(count, blocks));
  Grid grid(blocks, count);
  auto work = [&] {
    for (int64_t block; (block = next++) < blocks && block < firstFailure;) {
      failures[block] = Block(*code, binding.values, grid, block, options.scheduleSeed).run();
      if (failures[block])
        grid.stop();
      int64_t current = firstFailure;
      while (failures[block] && block < current &&
             !firstFailure.compare_exchange_weak(current, block))
        ;
    }
    grid.leave();
  };
  std::vector<std::thread> threads;
  for (int64_t i = 1; i < count; ++i)
    threads.emplace_back(work);
  work();
  for (std::thread &thread : threads)
    thread.join();
  if (firstFailure == blocks)
    return success();
  // Blocks that waited for one that failed say nothing new.
  for (int64_t block = 0; block < blocks; ++block)
    if (failures[block] && !isa<AwaitOp>(failures[block]->op)) {
      report(block, *failures[block]);
      return failure();
    }
  report(firstFailure, *failures[firstFailure]);
  return failure();
}

} // namespace sage::tile
