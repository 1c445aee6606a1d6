// Joins the PTX of a host program with its manifest.

#include "sage/Target/Artifact.h"
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
