// --save-temps: every level of a compilation as a file, and a page with all of them side by side.

#ifndef SAGE_TOOLS_SAGE_COMPILE_LEVELS_H
#define SAGE_TOOLS_SAGE_COMPILE_LEVELS_H

#include "mlir/IR/BuiltinOps.h"
#include "sage/Dialect/SageTile/IR/SageTile.h"
#include "llvm/ADT/DenseMap.h"

#include <set>
#include <string>
#include <vector>

namespace sage {

/// A line of a level; levels and lines count from 0.
using LinePosition = std::pair<unsigned, unsigned>;

/// The text of a level, and for each of its lines the lines of earlier levels that it was made of.
struct Level {
  std::string fileName, title;
  std::vector<std::string> lines;
  std::vector<std::set<LinePosition>> origins;
};

/// Writes levels into a folder as they are made. Each op's location is joined by its place in the
/// level's file, so that what passes make of it says where it came from.
class LevelRecorder {
public:
  /// Records nothing if `folder` is empty.
  explicit LevelRecorder(llvm::StringRef folder) : folder(folder) {}

  bool isActive() const { return !folder.empty(); }

  /// Creates the folder.
  mlir::LogicalResult open();
  mlir::LogicalResult record(mlir::ModuleOp module, llvm::StringRef fileName,
                             llvm::StringRef title);
  /// The last level; `program` is what `artifact` was made of, at the level recorded before.
  mlir::LogicalResult recordArtifact(tile::ProgramOp program, llvm::StringRef artifact);
  /// Writes levels.html.
  mlir::LogicalResult writePage(llvm::StringRef title);

private:
  mlir::LogicalResult write(llvm::StringRef fileName, llvm::StringRef text);
  void addOrigins(mlir::Location location, std::set<LinePosition> &origins) const;

  std::string folder;
  std::vector<Level> levels;
};

/// For each line of `artifact` the line of `level`, the NVVM level of `program`, that it was made
/// of: compiles once more with lines as debug information. None from where that makes other code.
std::vector<std::set<LinePosition>> findPtxOrigins(tile::ProgramOp program,
                                                   llvm::StringRef artifact, unsigned level);

} // namespace sage

#endif // SAGE_TOOLS_SAGE_COMPILE_LEVELS_H
