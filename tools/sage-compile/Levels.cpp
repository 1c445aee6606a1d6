// Records the levels of a compilation.

#include "Levels.h"

#include "mlir/IR/AsmState.h"
#include "mlir/Support/FileUtilities.h"
#include "sage/Schedule/EmbeddedText.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;
using namespace sage;

namespace sage {
/// tools/sage-compile/levels.html.
extern const EmbeddedText embeddedPage[];
} // namespace sage

static LogicalResult fail(const Twine &message) {
  llvm::errs() << "sage-compile: error: " << message << "\n";
  return failure();
}

LogicalResult LevelRecorder::open() {
  if (!isActive())
    return success();
  if (std::error_code code = llvm::sys::fs::create_directories(folder))
    return fail("--save-temps must name a folder that can be made, but '" + folder +
                "' cannot: " + code.message());
  return success();
}

LogicalResult LevelRecorder::write(StringRef fileName, StringRef text) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, fileName);
  std::string error;
  auto file = openOutputFile(path, &error);
  if (!file)
    return fail(error);
  file->os() << text;
  file->keep();
  return success();
}

static std::vector<std::string> splitLines(StringRef text) {
  std::vector<std::string> lines;
  for (StringRef line : llvm::split(text.rtrim('\n'), '\n'))
    lines.push_back(line.str());
  return lines;
}

void LevelRecorder::addOrigins(Location location, std::set<LinePosition> &origins) const {
  location->walk([&](Location part) {
    auto place = dyn_cast<FileLineColLoc>(part);
    if (!place)
      return WalkResult::advance();
    for (auto [index, level] : llvm::enumerate(levels))
      if (place.getFilename().getValue() == level.fileName)
        origins.insert({index, place.getLine() - 1});
    return WalkResult::advance();
  });
}

LogicalResult LevelRecorder::record(ModuleOp module, StringRef fileName, StringRef title) {
  if (!isActive())
    return success();
  AsmState::LocationMap places;
  OpPrintingFlags flags;
  AsmState state(module, flags, &places);
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream, state);
  text += "\n";

  Level level{fileName.str(), title.str(), splitLines(text), {}};
  level.origins.resize(level.lines.size());
  for (auto [op, place] : places)
    if (place.first - 1 < level.origins.size())
      addOrigins(op->getLoc(), level.origins[place.first - 1]);
  // The op's own location stays first: diagnostics go on to show the source.
  StringAttr file = StringAttr::get(module.getContext(), fileName);
  for (auto [op, place] : places)
    op->setLoc(FusedLoc::get(module.getContext(),
                             {op->getLoc(), FileLineColLoc::get(file, place.first, place.second)}));
  levels.push_back(std::move(level));
  return write(fileName, text);
}

LogicalResult LevelRecorder::recordArtifact(tile::ProgramOp program, StringRef artifact) {
  if (!isActive())
    return success();
  Level level{"7-artifact.ptx", "the artifact: PTX", splitLines(artifact), {}};
  level.origins = findPtxOrigins(program, artifact, levels.size() - 1);
  // What an instruction was made of was itself made of something.
  for (std::set<LinePosition> &origins : level.origins)
    for (LinePosition origin : std::set<LinePosition>(origins)) {
      const std::set<LinePosition> &earlier = levels[origin.first].origins[origin.second];
      origins.insert(earlier.begin(), earlier.end());
    }
  levels.push_back(std::move(level));
  return write(levels.back().fileName, artifact);
}

LogicalResult LevelRecorder::writePage(StringRef title) {
  if (!isActive())
    return success();
  llvm::json::Array data;
  for (const Level &level : levels) {
    llvm::json::Array lines, origins;
    for (const std::string &line : level.lines)
      lines.push_back(llvm::json::fixUTF8(line));
    for (const std::set<LinePosition> &line : level.origins) {
      llvm::json::Array pairs;
      for (auto [origin, number] : line) {
        pairs.push_back(origin);
        pairs.push_back(number);
      }
      origins.push_back(std::move(pairs));
    }
    data.push_back(llvm::json::Object{{"file", level.fileName},
                                      {"title", level.title},
                                      {"lines", std::move(lines)},
                                      {"origins", std::move(origins)}});
  }
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(
      llvm::json::Object{{"title", title}, {"levels", std::move(data)}});
  // Inside a script element `</` could end it.
  std::string safe;
  for (char c : text)
    safe += c == '<' ? "\\u003c" : std::string(1, c);
  auto [head, tail] = StringRef(embeddedPage[0].text).split("null /* the levels */");
  return write("levels.html", (head + safe + tail).str());
}
