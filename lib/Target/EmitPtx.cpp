// Serializes the kernels of a host program to PTX, each on a thread of its own.

#include "mlir/Dialect/GPU/IR/CompilationInterfaces.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/Threading.h"
#include "sage/Target/Artifact.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

#include <vector>

using namespace mlir;
using namespace sage;

namespace {

/// LLVM's diagnostics as MLIR's. Without a listener an error of the backend ends the process.
class BackendErrors {
public:
  explicit BackendErrors(Operation *op) : op(op) {}

  void listen(llvm::Module &module) {
    module.getContext().setDiagnosticHandlerCallBack(
        [](const llvm::DiagnosticInfo *info, void *errors) {
          static_cast<BackendErrors *>(errors)->report(*info);
        },
        this);
  }

  bool any() const { return found; }

private:
  void report(const llvm::DiagnosticInfo &info) {
    if (info.getSeverity() != llvm::DS_Error && info.getSeverity() != llvm::DS_Warning)
      return;
    std::string text;
    llvm::raw_string_ostream stream(text);
    llvm::DiagnosticPrinterRawOStream printer(stream);
    info.print(printer);
    if (info.getSeverity() == llvm::DS_Warning) {
      op->emitWarning() << text;
      return;
    }
    found = true;
    op->emitOpError("could not be translated to PTX: ") << text;
  }

  Operation *op;
  bool found = false;
};

/// The kernels of a gpu.module in modules of their own, for as long as this lives.
class SeparateKernels {
public:
  explicit SeparateKernels(gpu::GPUModuleOp whole) : whole(whole) {
    // Kernels share declarations only: what has contents stays with all that may name it.
    bool separable = llvm::all_of(whole.getOps(), [](Operation &op) {
      if (auto global = dyn_cast<LLVM::GlobalOp>(op))
        return global.getLinkage() == LLVM::Linkage::External && !global.getValueOrNull() &&
               global.getInitializerRegion().empty();
      return op.hasAttr(NVVM::NVVMDialect::getKernelFuncAttrName());
    });
    if (!separable)
      return;
    SmallVector<LLVM::GlobalOp> globals(whole.getOps<LLVM::GlobalOp>());
    for (auto kernel : llvm::make_early_inc_range(whole.getOps<LLVM::LLVMFuncOp>())) {
      auto part = cast<gpu::GPUModuleOp>(whole->cloneWithoutRegions());
      part.getBodyRegion().emplaceBlock();
      OpBuilder builder = OpBuilder::atBlockEnd(part.getBody());
      for (LLVM::GlobalOp global : globals)
        builder.clone(*global);
      kernel->moveBefore(part.getBody(), part.getBody()->end());
      parts.emplace_back(part);
    }
  }
  ~SeparateKernels() {
    for (OwningOpRef<gpu::GPUModuleOp> &part : parts)
      part->getBody()->back().moveBefore(whole.getBody(), whole.getBody()->end());
  }

  SmallVector<gpu::GPUModuleOp> get() {
    if (parts.empty())
      return {whole};
    return llvm::map_to_vector(parts, [](OwningOpRef<gpu::GPUModuleOp> &part) { return *part; });
  }

private:
  gpu::GPUModuleOp whole;
  std::vector<OwningOpRef<gpu::GPUModuleOp>> parts;
};

FailureOr<std::string> serialize(gpu::GPUModuleOp kernels, gpu::TargetAttrInterface target,
                                 Operation *reported) {
  std::string ptx;
  BackendErrors errors(reported);
  // The options refer to these.
  auto listen = [&](llvm::Module &module) { errors.listen(module); };
  auto takePtx = [&](StringRef isa) { ptx = isa.str(); };
  gpu::TargetOptions options({}, {}, {}, {}, gpu::CompilationTarget::Assembly, {}, listen, {}, {},
                             takePtx);
  bool translated = target.serializeToObject(kernels, options).has_value() && !ptx.empty();
  if (errors.any())
    return failure();
  if (!translated)
    return reported->emitOpError("could not be translated to PTX");
  return ptx;
}

/// One PTX module (PTX ISA, "PTX Module Directives"): one header, declarations once, and labels
/// that count kernels.
std::string join(ArrayRef<std::string> parts) {
  constexpr StringRef lastOfHeader = ".address_size 64\n", declaration = ".extern ";
  constexpr StringRef label = "$L__BB0_";
  std::string header, declarations, kernels;
  llvm::StringSet<> declared;
  for (auto [number, text] : llvm::enumerate(parts)) {
    StringRef part(text);
    size_t end = part.find(lastOfHeader) + lastOfHeader.size();
    header = part.take_front(end);
    std::string numbered = "$L__BB" + std::to_string(number) + "_";
    for (StringRef line : llvm::split(part.drop_front(end).rtrim('\n'), '\n')) {
      if (line.starts_with(declaration)) {
        declarations += declared.insert(line).second ? (line + "\n").str() : "";
        continue;
      }
      auto [before, after] = line.split(label);
      kernels += before;
      kernels += before.size() == line.size() ? "" : numbered;
      kernels += after;
      kernels += '\n';
    }
  }
  return header + "\n" + declarations + kernels;
}

} // namespace

FailureOr<std::string> sage::emitPtx(tile::ProgramOp program, bool separately) {
  SmallVector<tile::LaunchOp> launches = program.getLaunches();
  if (launches.empty())
    return program.emitOpError("must launch a kernel to be an artifact");
  auto kernels = SymbolTable::lookupNearestSymbolFrom<gpu::GPUModuleOp>(
      program->getParentOp(), launches.front().getKernel().getRootReference());
  if (!kernels)
    return program.emitOpError("must launch kernels of a gpu.module, but ")
           << launches.front().getKernel() << " is none";
  ArrayAttr targets = kernels.getTargetsAttr();
  if (!targets || targets.size() != 1)
    return kernels.emitOpError("must have exactly one target");
  Attribute attribute = targets[0];
  // Levels above 1 add vectorization and inlining, which find nothing here and take a sixth of the
  // time. The level is LLVM's alone: ptxas and the driver are asked for theirs.
  if (auto nvvm = dyn_cast<NVVM::NVVMTargetAttr>(attribute))
    attribute = NVVM::NVVMTargetAttr::get(nvvm.getContext(), std::min(nvvm.getO(), 1),
                                          nvvm.getTriple(), nvvm.getChip(), nvvm.getFeatures(),
                                          nvvm.getFlags(), nvvm.getLink(), nvvm.getVerifyTarget());
  auto target = dyn_cast<gpu::TargetAttrInterface>(attribute);
  if (!target)
    return kernels.emitOpError("target must be serializable, but got ") << targets[0];
  if (!separately)
    return serialize(kernels, target, kernels);

  SeparateKernels separate(kernels);
  SmallVector<gpu::GPUModuleOp> parts = separate.get();
  std::vector<std::string> texts(parts.size());
  LogicalResult result = failableParallelForEachN(
      kernels.getContext(), 0, parts.size(), [&](size_t number) -> LogicalResult {
        FailureOr<std::string> ptx = serialize(parts[number], target, kernels);
        if (succeeded(ptx))
          texts[number] = std::move(*ptx);
        return ptx;
      });
  if (failed(result))
    return failure();
  return join(texts);
}
