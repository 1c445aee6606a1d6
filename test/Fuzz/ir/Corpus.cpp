#include "Corpus.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "sage/Pipelines/Pipelines.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

using namespace mlir;

namespace sage::fuzz {
namespace {

void addFile(const std::filesystem::path &path, std::vector<std::string> &modules) {
  std::ifstream file(path);
  std::string module;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("// -----", 0) == 0) {
      modules.push_back(std::move(module));
      module.clear();
    } else if (line.find_first_not_of(' ') != std::string::npos &&
               line.compare(line.find_first_not_of(' '), 2, "//") != 0) {
      module += line + "\n"; // without RUN lines and comments
    }
  }
  modules.push_back(std::move(module));
}

std::string print(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream);
  return text + "\n";
}

/// One attention at every level that it reaches.
void addLevels(const DialectRegistry &registry, Random random, std::vector<std::string> &modules) {
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  ScopedDiagnosticHandler quiet(&context, [](Diagnostic &) { return success(); });
  std::string text = randomAttention(random, /*hostile=*/false);
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return;
  modules.push_back(text);
  PipelineOptions options;
  options.chip = randomChip(random);
  options.substitute = true;
  void (*const stages[])(OpPassManager &, const PipelineOptions &) = {
      buildSageToQuantizedPipeline,
      [](OpPassManager &manager, const PipelineOptions &) {
        buildQuantizedToTilePipeline(manager);
      },
      [](OpPassManager &manager, const PipelineOptions &) { buildTileSchedulePipeline(manager); },
      [](OpPassManager &manager, const PipelineOptions &) { buildTileToNVVMPipeline(manager); }};
  for (auto *build : stages) {
    PassManager manager(&context);
    build(manager, options);
    if (failed(manager.run(*module)))
      return;
    modules.push_back(print(*module));
  }
}

/// The end of the balanced `<...>` that begins at or behind `at`, or `at`.
size_t balancedEnd(const std::string &text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) ||
                               text[end] == '_' || text[end] == '.'))
    ++end;
  if (end >= text.size() || text[end] != '<')
    return end == at + 1 ? at : end;
  int depth = 0;
  for (size_t i = end; i < text.size() && i - at < 2000; ++i) {
    depth += text[i] == '<';
    depth -= text[i] == '>' && text[i - 1] != '-';
    if (depth == 0)
      return i + 1;
  }
  return at;
}

void collectPieces(Corpus &corpus) {
  std::set<std::string> pieces, words;
  for (const std::string &module : corpus.modules)
    for (size_t i = 0; i < module.size();) {
      char c = module[i];
      if (c == '#' || c == '!') {
        size_t end = balancedEnd(module, i);
        if (end > i)
          pieces.insert(module.substr(i, end - i));
        ++i;
      } else if (std::isalpha(static_cast<unsigned char>(c))) {
        size_t end = i;
        while (end < module.size() && (std::isalnum(static_cast<unsigned char>(module[end])) ||
                                       module[end] == '_' || module[end] == '.'))
          ++end;
        words.insert(module.substr(i, end - i));
        i = end;
      } else {
        ++i;
      }
    }
  corpus.pieces.assign(pieces.begin(), pieces.end());
  corpus.words.assign(words.begin(), words.end());
}

} // namespace

Corpus makeCorpus(const DialectRegistry &registry, const std::string &folder, unsigned generated) {
  Corpus corpus;
  std::vector<std::filesystem::path> files;
  for (const auto &entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".mlir")
      files.push_back(entry.path());
  std::sort(files.begin(), files.end()); // the same cases on every file system
  for (const auto &file : files)
    addFile(file, corpus.modules);
  for (unsigned i = 0; i < generated; ++i)
    addLevels(registry, Random(0, i), corpus.modules);
  // A module without anything of Sage's, such as raising's inputs, would only test MLIR's parsers.
  auto isUseful = [](const std::string &text) {
    return text.size() < 200000 && text.find("sage") != std::string::npos;
  };
  corpus.modules.erase(std::remove_if(corpus.modules.begin(), corpus.modules.end(),
                                      [&](const std::string &text) { return !isUseful(text); }),
                       corpus.modules.end());
  // Small ones are cheap, and case numbers pick them more often (see the fuzzer).
  std::stable_sort(corpus.modules.begin(), corpus.modules.end(),
                   [](const auto &a, const auto &b) { return a.size() < b.size(); });
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  ScopedDiagnosticHandler quiet(&context, [](Diagnostic &) { return success(); });
  for (size_t i = 0; i < corpus.modules.size(); ++i) {
    const std::string &text = corpus.modules[i];
    if (!parseSourceString<ModuleOp>(text, &context))
      continue;
    corpus.valid.push_back(i);
    if (text.find("sage_tile.kernel") != std::string::npos)
      corpus.kernels.push_back(i);
    else if (text.find("sage.") != std::string::npos)
      corpus.attentions.push_back(i);
  }
  collectPieces(corpus);
  return corpus;
}

} // namespace sage::fuzz
