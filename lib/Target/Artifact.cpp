// Serializes a host program's kernels to PTX and joins them with the manifest.

#include "sage/Target/Artifact.h"
#include "mlir/Dialect/GPU/IR/CompilationInterfaces.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace sage;

FailureOr<tile::ProgramOp> sage::findProgram(ModuleOp module, StringRef name) {
  SmallVector<tile::ProgramOp> programs(module.getOps<tile::ProgramOp>());
  std::string names = llvm::join(
      llvm::map_range(programs, [](tile::ProgramOp op) { return "@" + op.getSymName().str(); }),
      ", ");
  if (name.empty() && programs.size() == 1)
    return programs.front();
  for (tile::ProgramOp program : programs)
    if (program.getSymName() == name)
      return program;
  InFlightDiagnostic diagnostic = module.emitError();
  if (programs.empty())
    diagnostic << "module must have a sage_tile.program, but got none";
  else if (name.empty())
    diagnostic << "one artifact holds one program, but the module has " << names;
  else
    diagnostic << "program must be one of " << names << ", but got @" << name;
  diagnostic.attachNote() << (programs.empty() ? "the module has no sage.attention that was lowered"
                                               : "choose a program by its name");
  return diagnostic;
}

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

} // namespace

FailureOr<std::string> sage::emitPtx(tile::ProgramOp program) {
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

  std::string ptx;
  BackendErrors errors(kernels);
  // The options refer to these.
  auto listen = [&](llvm::Module &module) { errors.listen(module); };
  auto takePtx = [&](StringRef isa) { ptx = isa.str(); };
  gpu::TargetOptions options({}, {}, {}, {}, gpu::CompilationTarget::Assembly, {}, listen, {}, {},
                             takePtx);
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
  bool translated = target.serializeToObject(kernels, options).has_value() && !ptx.empty();
  if (errors.any())
    return failure();
  if (!translated)
    return kernels.emitOpError("could not be translated to PTX");
  return ptx;
}

FailureOr<std::string> sage::emitArtifact(tile::ProgramOp program) {
  FailureOr<std::string> manifest = emitManifest(program);
  FailureOr<std::string> ptx = emitPtx(program);
  if (failed(manifest) || failed(ptx))
    return failure();
  std::string body;
  for (StringRef line : llvm::split(*manifest, '\n'))
    body += ("// sage-manifest: " + line + "\n").str();
  body += *ptx;
  uint64_t checksum = llvm::xxh3_64bits(body);
  return llvm::formatv("// sage-artifact: 3\n// sage-checksum: xxh3 {0:x-16}\n", checksum).str() +
         body;
}
