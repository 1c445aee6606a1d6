// Chips and schedules as data: the rows of targets/ and schedules/, read with the dialect's own
// parser.

#ifndef SAGE_SCHEDULE_SCHEDULELOOKUP_H
#define SAGE_SCHEDULE_SCHEDULELOOKUP_H

#include "mlir/Support/LLVM.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"

#include <string>
#include <vector>

namespace sage {

/// The chips that targets/ describes.
std::vector<std::string> listChips();

/// The description of `chip`; reports the chips there are when it is none of them.
mlir::FailureOr<TargetAttr> lookupTarget(mlir::MLIRContext *context, llvm::StringRef chip,
                                         llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// How fast `chip` is; also reports a chip whose target file does not say so.
mlir::FailureOr<RatesAttr> lookupRates(mlir::MLIRContext *context, llvm::StringRef chip,
                                       llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// What a schedule is looked up for.
struct ScheduleQuery {
  TargetAttr target;
  int64_t headDim, valueHeadDim;
  RecipeAttr recipe;
  /// Null where the row may choose: its key tile makes the recipe's default geometry.
  GeometryAttr geometry = {};
  ScoreDemands demands = {};

  /// The geometry under which `row` would run.
  GeometryAttr getGeometry(ScheduleAttr row) const;
};

/// The first row for the query's head dims, padded, that agrees with everything else of it.
/// `scheduleFile` replaces the embedded rows where it is not empty. Reports what was on offer, and
/// why each row was refused, when nothing fits.
mlir::FailureOr<ScheduleAttr>
lookupSchedule(const ScheduleQuery &query, llvm::function_ref<mlir::InFlightDiagnostic()> emitError,
               llvm::StringRef scheduleFile = "");

} // namespace sage

#endif // SAGE_SCHEDULE_SCHEDULELOOKUP_H
