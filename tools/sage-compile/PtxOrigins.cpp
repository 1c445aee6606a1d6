// Which line of the NVVM level each line of the PTX comes from.

#include "Levels.h"

#include "mlir/Dialect/LLVMIR/Transforms/Passes.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include "sage/Target/Artifact.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace sage;

/// The innermost place: the one that was added last.
static FileLineColLoc findLastPlace(Location location) {
  FileLineColLoc last;
  location->walk([&](Location part) {
    if (auto place = dyn_cast<FileLineColLoc>(part))
      last = place;
    return WalkResult::advance();
  });
  return last;
}

/// PTX of a copy of the program's module whose ops have lines of the NVVM level as debug locations.
static FailureOr<std::string> emitPtxWithLines(tile::ProgramOp program) {
  OwningOpRef<ModuleOp> copy = program->getParentOfType<ModuleOp>().clone();
  copy->walk([](Operation *op) {
    FileLineColLoc place = findLastPlace(op->getLoc());
    op->setLoc(place ? Location(place) : UnknownLoc::get(op->getContext()));
  });
  PassManager manager(copy->getContext());
  manager.enableVerifier(false);
  LLVM::DIScopeForLLVMFuncOpPassOptions options;
  options.emissionKind = LLVM::DIEmissionKind::LineTablesOnly;
  manager.addPass(LLVM::createDIScopeForLLVMFuncOpPass(options));
  if (failed(manager.run(*copy)))
    return failure();
  FailureOr<tile::ProgramOp> found = findProgram(*copy, program.getSymName());
  if (failed(found))
    return failure();
  return emitPtx(*found, /*separately=*/false);
}

/// Whether a line of PTX is there without debug information too.
static bool isCode(StringRef line) {
  return !line.empty() && !line.starts_with("//") && !line.starts_with("$L__") &&
         !line.starts_with(".loc") && !line.starts_with(".file") && !line.starts_with(".target");
}

/// Some instructions take several lines, and inline assembly may begin with a brace.
static bool isInstruction(StringRef line) {
  return !line.starts_with(".") && !line.ends_with(":") && line != "{" && line != "(";
}

/// `.loc file line column`; line 0 says that there is none.
static std::optional<unsigned> readLine(StringRef directive) {
  SmallVector<StringRef> words;
  directive.split(words, ' ', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  unsigned number = 0;
  if (words.size() < 3 || words[2].getAsInteger(10, number) || number == 0)
    return std::nullopt;
  return number - 1;
}

std::vector<std::set<LinePosition>> sage::findPtxOrigins(tile::ProgramOp program,
                                                         StringRef artifact, unsigned level) {
  SmallVector<StringRef> lines;
  artifact.rtrim('\n').split(lines, '\n');
  std::vector<std::set<LinePosition>> origins(lines.size());
  FailureOr<std::string> withLines = emitPtxWithLines(program);
  if (failed(withLines))
    return origins;
  size_t next = 0;
  std::optional<unsigned> current;
  for (StringRef text : llvm::split(*withLines, '\n')) {
    std::string line = llvm::join(llvm::split(text.trim(), '\t'), " ");
    if (StringRef(line).starts_with(".section"))
      break;
    if (StringRef(line).starts_with(".loc"))
      current = readLine(line);
    if (!isCode(line))
      continue;
    while (next < lines.size() && !isCode(lines[next].trim()))
      ++next;
    // Debug information has changed the code: what follows cannot be told.
    if (next == lines.size() || lines[next].trim() != text.trim())
      return origins;
    // A kernel ends, and with it what the last place applies to.
    if (line == "}")
      current.reset();
    if (current && isInstruction(line))
      origins[next].insert({level, *current});
    ++next;
  }
  return origins;
}
