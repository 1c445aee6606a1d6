// Serializes a host program's kernels to PTX and joins them with the manifest.

#include "sage/Target/Artifact.h"
#include "mlir/Dialect/GPU/IR/CompilationInterfaces.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/StringExtras.h"
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
  gpu::TargetOptions options({}, {}, {}, {}, gpu::CompilationTarget::Assembly, {}, {}, {}, {},
                             [&](StringRef isa) { ptx = isa.str(); });
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
  if (!target.serializeToObject(kernels, options) || ptx.empty())
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
  return llvm::formatv("// sage-artifact: 2\n// sage-checksum: xxh3 {0:x-16}\n", checksum).str() +
         body;
}
