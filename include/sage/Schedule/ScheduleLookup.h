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

/// The first row for `headDim` that agrees with the target, the recipe and the geometry. A null
/// geometry stands for the recipe's default on the target's family. `scheduleFile` replaces the
/// embedded rows where it is not empty. Reports what was on offer, and why each row was refused,
/// when nothing fits.
mlir::FailureOr<ScheduleAttr>
lookupSchedule(TargetAttr target, int64_t headDim, RecipeAttr recipe, GeometryAttr geometry,
               llvm::function_ref<mlir::InFlightDiagnostic()> emitError,
               llvm::StringRef scheduleFile = "");

} // namespace sage

#endif // SAGE_SCHEDULE_SCHEDULELOOKUP_H
