// The compiler behind plain C: a context of its own for every compilation, diagnostics as text.

#include "sage-c/Compile.h"

#include "FatalErrors.h"
#include "ProblemModule.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/InitAll.h"
#include "sage/Pipelines/CompileToArtifact.h"
#include "sage/Schedule/ScheduleLookup.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"

#include <cstdlib>
#include <new>

using namespace mlir;
using namespace sage;

struct sage_compilation {
  std::string artifact, diagnostics;
  bool succeeded = false;
};

namespace {

const char *getSeverity(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Note:
    return "note";
  case DiagnosticSeverity::Warning:
    return "warning";
  case DiagnosticSeverity::Error:
    return "error";
  case DiagnosticSeverity::Remark:
    return "remark";
  }
  llvm_unreachable("unknown severity");
}

void print(const Diagnostic &diagnostic, std::string &text) {
  llvm::raw_string_ostream stream(text);
  if (auto file = diagnostic.getLocation()->findInstanceOf<FileLineColLoc>())
    stream << file.getFilename().getValue() << ":" << file.getLine() << ":" << file.getColumn()
           << ": ";
  stream << getSeverity(diagnostic.getSeverity()) << ": " << diagnostic.str() << "\n";
  for (const Diagnostic &note : diagnostic.getNotes())
    print(note, text);
}

/// One call of the API.
class Compilation {
public:
  Compilation(const char *chip, const sage_compile_options *given, sage_compilation &result)
      : context(makeRegistry(), MLIRContext::Threading::DISABLED), loc(UnknownLoc::get(&context)),
        chip(chip ? chip : ""), result(result) {
    if (given)
      options = *given;
    context.loadDialect<func::FuncDialect, SageDialect>();
    // The caller never saw the op that a note would print.
    context.printOpOnDiagnostic(false);
    context.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
      std::string text;
      print(diagnostic, text);
      // Arguments that are quoted may be any bytes.
      this->result.diagnostics += llvm::json::fixUTF8(text);
    });
  }

  void compile(const sage_problem *problem) {
    if (!problem) {
      emitError(loc) << "argument 'problem' must point to a sage_problem, but got NULL";
      return;
    }
    FailureOr<RecipeAttr> recipe = readRecipe(options.recipe ? options.recipe : "sage2-8b");
    if (failed(recipe) || failed(checkChip()))
      return;
    if (OwningOpRef<ModuleOp> module = buildProblemModule(loc, *problem, *recipe))
      finish(*module);
  }

  void compile(const char *text, size_t size) {
    if (!text) {
      emitError(loc) << "argument 'text' must point to MLIR, but got NULL";
      return;
    }
    if (!chip.empty() && failed(checkChip()))
      return;
    // The parser reads up to a NUL behind the text.
    std::string copy(text, size);
    auto module = parseSourceString<ModuleOp>(copy, ParserConfig(&context), "mlir");
    if (!module)
      return;
    if (options.recipe) {
      FailureOr<RecipeAttr> recipe = readRecipe(options.recipe);
      if (failed(recipe))
        return;
      module->walk([&](AttentionOp op) { op.setRecipeAttr(*recipe); });
    }
    finish(*module);
  }

private:
  static DialectRegistry makeRegistry() {
    DialectRegistry registry;
    registerCompilerDialects(registry);
    return registry;
  }

  /// A name or an attribute; the parser says what is wrong with the latter.
  FailureOr<RecipeAttr> readRecipe(StringRef text) {
    if (RecipeAttr named = RecipeAttr::getNamed(&context, text))
      return named;
    if (text.starts_with("#")) {
      auto parsed = dyn_cast_or_null<RecipeAttr>(parseAttribute(text, &context));
      if (parsed)
        return parsed;
    }
    return emitError(loc) << "argument 'options.recipe' must be one of " << RecipeAttr::listNames()
                          << ", or an attribute #sage.recipe<…>, but got '" << text << "'";
  }

  LogicalResult checkChip() {
    if (llvm::is_contained(listChips(), chip))
      return success();
    return emitError(loc) << "argument 'chip' must be one of " << llvm::join(listChips(), ", ")
                          << ", but got '" << chip << "'";
  }

  void finish(ModuleOp module) {
    PipelineOptions pipeline;
    pipeline.chip = chip;
    pipeline.substitute = options.substitute != 0;
    pipeline.scheduleFile = options.schedule_file ? options.schedule_file : "";
    FailureOr<std::string> artifact =
        compileToArtifact(module, pipeline, options.program ? options.program : "");
    if (failed(artifact))
      return;
    result.artifact = std::move(*artifact);
    result.succeeded = true;
  }

  MLIRContext context;
  Location loc;
  std::string chip;
  sage_compile_options options = {};
  sage_compilation &result;
};

} // namespace

const char *sage_compiler_version(void) { return sage::getVersion(); }

const char *sage_compiler_chips(void) {
  static const std::string names = llvm::join(listChips(), ", ");
  return names.c_str();
}

const char *sage_compiler_recipes(void) {
  static const std::string names = RecipeAttr::listNames();
  return names.c_str();
}

/// MLIR does not look whether there was memory for an op, so there must be enough before one is
/// made. The largest kernels take 40 MiB.
static bool hasMemory() {
  void *volatile block = std::malloc(size_t(64) << 20);
  bool found = block != nullptr;
  std::free(block);
  return found;
}

/// A compilation that LLVM could not finish is not destroyed: frames that were left refer to it.
template <typename... Arguments>
static sage_compilation *compile(const char *chip, const sage_compile_options *options,
                                 Arguments... arguments) {
  auto *result = new (std::nothrow) sage_compilation;
  if (!result)
    return nullptr;
  if (!hasMemory()) {
    result->diagnostics =
        "error: a compilation needs 64 MiB of memory, which this process cannot get\n"
        "note: raise its limit (ulimit -v), or compile in a process of its own\n";
    return result;
  }
  std::optional<std::string> reason = runRecoverably([&] {
    auto *compilation = new Compilation(chip, options, *result);
    compilation->compile(arguments...);
    delete compilation;
  });
  if (reason) {
    result->succeeded = false;
    result->artifact.clear();
    std::string place = chip ? " for '" + llvm::json::fixUTF8(chip) + "'" : "";
    result->diagnostics += "error: LLVM could not compile the kernels" + place + ": " +
                           llvm::json::fixUTF8(*reason) +
                           "\nnote: memory of this compilation is lost; others are not affected\n";
  }
  return result;
}

sage_compilation *sage_compile(const sage_problem *problem, const char *chip,
                               const sage_compile_options *options) {
  return compile(chip, options, problem);
}

sage_compilation *sage_compile_mlir(const char *text, size_t size, const char *chip,
                                    const sage_compile_options *options) {
  return compile(chip, options, text, size);
}

int32_t sage_compilation_succeeded(const sage_compilation *compilation) {
  return compilation && compilation->succeeded;
}

const char *sage_compilation_artifact(const sage_compilation *compilation, size_t *size) {
  if (size)
    *size = compilation ? compilation->artifact.size() : 0;
  return compilation ? compilation->artifact.c_str() : "";
}

const char *sage_compilation_diagnostics(const sage_compilation *compilation) {
  return compilation ? compilation->diagnostics.c_str() : "error: no memory for a compilation\n";
}

void sage_compilation_destroy(sage_compilation *compilation) { delete compilation; }
