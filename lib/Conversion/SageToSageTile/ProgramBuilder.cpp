// Writes the host program: workspace slices and kernels in launch order.

#include "Preparation.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace sage;

static DictionaryAttr describe(OpBuilder &builder, const Problem &problem) {
  MLIRContext *context = builder.getContext();
  NamedAttrList list;
  list.set("element_type", TypeAttr::get(problem.elementType));
  list.set("head_dim", builder.getI64IntegerAttr(problem.headDim));
  list.set("value_head_dim", builder.getI64IntegerAttr(problem.valueHeadDim));
  list.set("layout", LayoutAttr::get(context, problem.layout));
  list.set("lse", builder.getBoolAttr(problem.hasLse));
  list.set("mask", MaskAttr::get(context, problem.mask));
  list.set("geometry", problem.geometry);
  list.set("recipe", problem.recipe);
  list.set("schedule", problem.schedule);
  list.set("target", problem.target);
  list.set("shape", builder.getDenseI64ArrayAttr(problem.shape));
  const std::pair<StringRef, Attribute> optional[] = {{"scale", problem.scale},
                                                      {"softcap", problem.softcap},
                                                      {"sink_tokens", problem.sinkTokens},
                                                      {"window_left", problem.windowLeft},
                                                      {"window_right", problem.windowRight}};
  for (auto [name, attribute] : optional)
    if (attribute)
      list.set(name, attribute);
  if (problem.bias)
    list.set("bias", TypeAttr::get(problem.bias));
  for (auto [name, given] : {std::pair<StringRef, bool>{"key_lengths", problem.hasKeyLengths},
                             {"packed", problem.isPacked},
                             {"sinks", problem.hasSinks}})
    if (given)
      list.set(name, builder.getUnitAttr());
  return list.getDictionary(context);
}

/// PTX ISA, "griddepcontrol": sm_90 and later.
static bool canOverlap(TargetAttr target) {
  int64_t number = 0;
  StringRef chip = target.getChip();
  return chip.consume_front("sm_") && !chip.consumeInteger(10, number) && number >= 90;
}

ProgramBuilder::ProgramBuilder(Location loc, ModuleOp module, StringRef name,
                               const Problem &problem, bool overlapLaunches)
    : problem(problem), loc(loc), overlapping(overlapLaunches && canOverlap(problem.target)),
      builder(module.getContext()) {
  builder.setInsertionPointToEnd(module.getBody());
  program = tile::ProgramOp::create(builder, loc, name, describe(builder, problem));
  launches = &program.getBody().emplaceBlock();
  std::string features = "+ptx" + std::to_string(problem.target.getPtx());
  auto target =
      NVVM::NVVMTargetAttr::get(builder.getContext(), /*optLevel=*/3, "nvptx64-nvidia-cuda",
                                problem.target.getChip(), features);
  kernels = gpu::GPUModuleOp::create(builder, loc, (name + "_kernels").str(),
                                     builder.getArrayAttr({target}));
  module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(), builder.getUnitAttr());
}

AffineExpr ProgramBuilder::getPaddedQueries() {
  int64_t slot = problem.getQueryPadding();
  if (problem.isPacked)
    return (get(Symbol::Nq).floorDiv(slot) + get(Symbol::S)) * slot;
  return get(Symbol::Nq).ceilDiv(slot) * slot;
}

AffineExpr ProgramBuilder::getPaddedKeys() {
  int64_t slot = problem.getKeyTile();
  AffineExpr more = problem.isPacked ? get(Symbol::S) : builder.getAffineConstantExpr(1);
  return (get(Symbol::Nk).floorDiv(slot) + more) * slot;
}

AffineExpr ProgramBuilder::countGroups(ScaleGroups groups, AffineExpr paddedTokens) {
  if (groups.coversHead())
    return builder.getAffineConstantExpr(groups.groups);
  return paddedTokens.floorDiv(groups.tokens) * groups.groups;
}

void ProgramBuilder::addWorkspace(StringRef name, AffineExpr bytes) {
  // All slices come before the first launch.
  Block &body = program.getBody().front();
  builder.setInsertionPointToStart(&body);
  for (auto slice : body.getOps<tile::WorkspaceOp>())
    builder.setInsertionPointAfter(slice);
  tile::WorkspaceOp::create(builder, loc, name, getSymbolMap(bytes));
}

void ProgramBuilder::resetTickets(KernelBuilder &kernel) {
  if (!problem.schedule.getPersistent())
    return;
  addWorkspace(buffer::tickets, builder.getAffineConstantExpr(4));
  Type i32 = builder.getI32Type();
  Value counter = kernel.addBuffer(buffer::tickets, MemRefType::get({ShapedType::kDynamic}, i32));
  Value isFirst = arith::CmpIOp::create(kernel, arith::CmpIPredicate::eq,
                                        tile::BlockIdOp::create(kernel), kernel.index(0));
  kernel.when(isFirst, [&] {
    Value zero = arith::ConstantOp::create(kernel, kernel.getI32IntegerAttr(0));
    // Every unit writes the same.
    Value zeros = tile::SplatOp::create(kernel, getRowMajor(kernel, 1, 1, i32, 1), zero);
    kernel.store(zeros, counter, {kernel.index(0)}, kernel.index(1));
  });
}

void ProgramBuilder::startRepeat(AffineExpr count) {
  builder.setInsertionPointToEnd(launches);
  auto repeat = tile::RepeatOp::create(builder, loc, getSymbolMap(count));
  launches = &repeat.getBody().emplaceBlock();
}

void ProgramBuilder::endRepeat() { launches = &program.getBody().front(); }

KernelBuilder ProgramBuilder::startKernel(StringRef name, tile::Unit unit, int64_t units) {
  builder.setInsertionPointToEnd(kernels.getBody());
  return KernelBuilder(loc, builder, name, unit, units);
}

void ProgramBuilder::launch(KernelBuilder &kernel, AffineExpr grid) {
  tile::ReturnOp::create(kernel);
  builder.setInsertionPointToEnd(launches);
  auto name = SymbolRefAttr::get(kernels.getSymNameAttr(),
                                 {FlatSymbolRefAttr::get(kernel.getKernel().getSymNameAttr())});
  bool overlaps = !kernel.getKernel().getBody().getOps<tile::GridWaitOp>().empty();
  tile::LaunchOp::create(builder, loc, name, getSymbolMap(grid), kernel.getLaunchArguments(),
                         overlaps);
}
