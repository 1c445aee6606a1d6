// Reads the rows of targets/ and schedules/ and picks the one that fits.

#include "sage/Schedule/ScheduleLookup.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/Schedule/EmbeddedText.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <set>

using namespace mlir;
using namespace sage;

std::vector<std::string> sage::listChips() {
  std::vector<std::string> chips;
  for (const EmbeddedText *row = embeddedTargets; row->path; ++row)
    chips.push_back(llvm::sys::path::stem(row->path).str());
  return chips;
}

/// Parses a file of rows; diagnostics carry `path`.
static OwningOpRef<ModuleOp> parseRows(MLIRContext *context, StringRef text, StringRef path) {
  context->getOrLoadDialect<SageDialect>();
  return parseSourceString<ModuleOp>(text, ParserConfig(context), path);
}

/// The target file of `chip`; its only op is what `lookupTarget` and `lookupRates` read.
static FailureOr<OwningOpRef<ModuleOp>>
readTargetFile(MLIRContext *context, StringRef chip, function_ref<InFlightDiagnostic()> emitError) {
  for (const EmbeddedText *row = embeddedTargets; row->path; ++row) {
    if (llvm::sys::path::stem(row->path) != chip)
      continue;
    OwningOpRef<ModuleOp> module = parseRows(context, row->text, row->path);
    if (!module)
      return failure();
    if (!module->getOps<TargetOp>().empty())
      return module;
  }
  auto diagnostic = emitError() << "chip must be one of " << llvm::join(listChips(), ", ")
                                << ", but got '" << chip << "'";
  diagnostic.attachNote()
      << "a chip of a known instruction family is one file, targets/<chip>.mlir";
  return failure();
}

FailureOr<TargetAttr> sage::lookupTarget(MLIRContext *context, StringRef chip,
                                         function_ref<InFlightDiagnostic()> emitError) {
  FailureOr<OwningOpRef<ModuleOp>> module = readTargetFile(context, chip, emitError);
  if (failed(module))
    return failure();
  return (*(*module)->getOps<TargetOp>().begin()).getRow();
}

FailureOr<RatesAttr> sage::lookupRates(MLIRContext *context, StringRef chip,
                                       function_ref<InFlightDiagnostic()> emitError) {
  FailureOr<OwningOpRef<ModuleOp>> module = readTargetFile(context, chip, emitError);
  if (failed(module))
    return failure();
  if (std::optional<RatesAttr> rates = (*(*module)->getOps<TargetOp>().begin()).getRates())
    return *rates;
  auto diagnostic = emitError() << "chip must have rates, but " << chip << " has none";
  diagnostic.attachNote() << "add them in targets/" << chip << ".mlir";
  return failure();
}

/// Appends the rows of a file to `rows`.
static LogicalResult readRows(MLIRContext *context, StringRef text, StringRef path,
                              SmallVectorImpl<ScheduleAttr> &rows) {
  OwningOpRef<ModuleOp> module = parseRows(context, text, path);
  if (!module)
    return failure();
  for (ScheduleOp schedule : module->getOps<ScheduleOp>())
    rows.push_back(schedule.getRow());
  return success();
}

static LogicalResult readScheduleFile(MLIRContext *context, StringRef path,
                                      function_ref<InFlightDiagnostic()> emitError,
                                      SmallVectorImpl<ScheduleAttr> &rows) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer)
    return emitError() << "schedule file must be readable, but got '" << path
                       << "': " << buffer.getError().message();
  return readRows(context, (*buffer)->getBuffer(), path, rows);
}

static LogicalResult readEmbeddedSchedules(TargetAttr target, SmallVectorImpl<ScheduleAttr> &rows) {
  for (const EmbeddedText *row = embeddedSchedules; row->path; ++row) {
    StringRef folder = llvm::sys::path::filename(llvm::sys::path::parent_path(row->path));
    if (folder == target.getSchedules() &&
        failed(readRows(target.getContext(), row->text, row->path, rows)))
      return failure();
  }
  return success();
}

GeometryAttr ScheduleQuery::getGeometry(ScheduleAttr row) const {
  if (geometry)
    return geometry;
  return GeometryAttr::getDefault(recipe, target.getFamily(), /*queryBlock=*/0, row.getKeyTile(),
                                  row.getHeadDim());
}

/// Why the row is refused; nothing when it fits.
static std::optional<std::string> findConflict(ScheduleAttr row, const ScheduleQuery &query) {
  if (row.getFamily() != query.target.getFamily())
    return ("schedule family must be " + stringifyFamily(query.target.getFamily()) + ", but got " +
            stringifyFamily(row.getFamily()))
        .str();
  if (auto conflict = row.findConflict(query.recipe, query.getGeometry(row), query.demands))
    return conflict;
  int64_t bytes = row.getSharedBytes(query.recipe), limit = query.target.getSharedBytes();
  if (bytes > limit)
    return "shared memory must fit " + std::to_string(limit) + " bytes, but got " +
           std::to_string(bytes);
  return std::nullopt;
}

FailureOr<ScheduleAttr> sage::lookupSchedule(const ScheduleQuery &query,
                                             function_ref<InFlightDiagnostic()> emitError,
                                             StringRef scheduleFile) {
  SmallVector<ScheduleAttr> rows;
  MLIRContext *context = query.target.getContext();
  if (failed(scheduleFile.empty() ? readEmbeddedSchedules(query.target, rows)
                                  : readScheduleFile(context, scheduleFile, emitError, rows)))
    return failure();

  int64_t headDim = ScheduleAttr::padHeadDims(query.headDim, query.valueHeadDim);
  std::set<int64_t> headDims;
  SmallVector<std::pair<ScheduleAttr, std::string>> refused;
  for (ScheduleAttr row : rows) {
    headDims.insert(row.getHeadDim());
    if (row.getHeadDim() != headDim)
      continue;
    std::optional<std::string> conflict = findConflict(row, query);
    if (!conflict)
      return row;
    refused.emplace_back(row, *conflict);
  }
  StringRef chip = query.target.getChip();
  if (refused.empty()) {
    auto diagnostic = emitError() << "head dims of query and value, padded to a multiple of 64, "
                                     "must be one of the scheduled ";
    llvm::interleaveComma(headDims, diagnostic);
    diagnostic << " on " << chip << ", but got " << query.headDim << " and " << query.valueHeadDim;
    diagnostic.attachNote() << "add a row in schedules/" << query.target.getSchedules()
                            << " or in a schedule file";
    return failure();
  }
  auto diagnostic = emitError() << "a schedule on " << chip << " for head dim " << headDim
                                << " must agree with recipe " << query.recipe
                                << " and the geometry, but got none";
  for (auto &[row, conflict] : refused)
    diagnostic.attachNote() << row << ": " << conflict;
  return failure();
}
