/*===- Attributes.h - attributes of the sage dialect -------------------------===*\
|* Enumerations and plain data are those of the runtime (sage/runtime/sage.h). A *|
|* null attribute says that there is no such thing; where a function takes a      *|
|* location, the diagnostic that says why is emitted there. Any attribute can     *|
|* also be made of text: mlirAttributeParseGet.                                   *|
\*===----------------------------------------------------------------------===*/
#ifndef SAGE_C_ATTRIBUTES_H
#define SAGE_C_ATTRIBUTES_H

#include "mlir-c/AffineMap.h"
#include "mlir-c/IR.h"
#include "sage/runtime/sage.h"

#ifdef __cplusplus
extern "C" {
#endif

/*===-- #sage.recipe: how an attention is computed -------------------------===*/

MLIR_CAPI_EXPORTED bool sageAttributeIsARecipe(MlirAttribute attribute);
/** The recipe of that name; null if there is none. */
MLIR_CAPI_EXPORTED MlirAttribute sageRecipeAttrGetNamed(MlirContext context, MlirStringRef name);
/** `recipe->name` is not read. */
MLIR_CAPI_EXPORTED MlirAttribute sageRecipeAttrGetChecked(MlirLocation location,
                                                          const sage_recipe *recipe);
/** `recipe->name` is static; "custom" for a recipe that has none. */
MLIR_CAPI_EXPORTED void sageRecipeAttrGetValue(MlirAttribute attribute, sage_recipe *recipe);

/*===-- #sage.layout and #sage.mask ----------------------------------------===*/

MLIR_CAPI_EXPORTED bool sageAttributeIsALayout(MlirAttribute attribute);
MLIR_CAPI_EXPORTED MlirAttribute sageLayoutAttrGet(MlirContext context, sage_layout layout);
MLIR_CAPI_EXPORTED sage_layout sageLayoutAttrGetValue(MlirAttribute attribute);

MLIR_CAPI_EXPORTED bool sageAttributeIsAMask(MlirAttribute attribute);
MLIR_CAPI_EXPORTED MlirAttribute sageMaskAttrGet(MlirContext context, sage_mask mask);
MLIR_CAPI_EXPORTED sage_mask sageMaskAttrGetValue(MlirAttribute attribute);

/*===-- #sage.target: what a chip is ----------------------------------------===*/

typedef enum SageFamily { SageFamilyMmaSync = 0, SageFamilyWgmma = 1 } SageFamily;

MLIR_CAPI_EXPORTED bool sageAttributeIsATarget(MlirAttribute attribute);
/** The description of a chip, e.g. "sm_90a". */
MLIR_CAPI_EXPORTED MlirAttribute sageTargetAttrLookup(MlirLocation location, MlirStringRef chip);
MLIR_CAPI_EXPORTED MlirStringRef sageTargetAttrGetChip(MlirAttribute attribute);
MLIR_CAPI_EXPORTED SageFamily sageTargetAttrGetFamily(MlirAttribute attribute);
MLIR_CAPI_EXPORTED int64_t sageTargetAttrGetSharedBytes(MlirAttribute attribute);
/** Whether the chip has the instructions that the recipe needs. */
MLIR_CAPI_EXPORTED bool sageTargetAttrCanRun(MlirAttribute attribute, MlirAttribute recipe);

/*===-- #sage.geometry: what of the tiling changes results -------------------===*/

MLIR_CAPI_EXPORTED bool sageAttributeIsAGeometry(MlirAttribute attribute);
/** Zeros stand for the defaults of the family and the head dim. */
MLIR_CAPI_EXPORTED MlirAttribute sageGeometryAttrGetDefault(MlirAttribute recipe, SageFamily family,
                                                            int64_t queryBlock, int64_t keyTile,
                                                            int64_t headDim);
/** `keyParts` may be a null map: one part. */
MLIR_CAPI_EXPORTED MlirAttribute sageGeometryAttrGetChecked(
    MlirLocation location, int64_t queryBlock, int64_t keyTile, MlirAffineMap queryGroups,
    MlirAffineMap keyGroups, MlirAffineMap valueOrder, MlirAffineMap keyParts);
MLIR_CAPI_EXPORTED int64_t sageGeometryAttrGetQueryBlock(MlirAttribute attribute);
MLIR_CAPI_EXPORTED int64_t sageGeometryAttrGetKeyTile(MlirAttribute attribute);
MLIR_CAPI_EXPORTED MlirAffineMap sageGeometryAttrGetQueryGroups(MlirAttribute attribute);
MLIR_CAPI_EXPORTED MlirAffineMap sageGeometryAttrGetKeyGroups(MlirAttribute attribute);
MLIR_CAPI_EXPORTED MlirAffineMap sageGeometryAttrGetValueOrder(MlirAttribute attribute);
/** Null where keys are taken in one part. */
MLIR_CAPI_EXPORTED MlirAffineMap sageGeometryAttrGetKeyParts(MlirAttribute attribute);

/*===-- #sage.schedule: how a kernel runs -----------------------------------===*/

MLIR_CAPI_EXPORTED bool sageAttributeIsASchedule(MlirAttribute attribute);
/** The first built-in row for these head dims that agrees with the recipe. */
MLIR_CAPI_EXPORTED MlirAttribute sageScheduleAttrLookup(MlirLocation location, MlirAttribute target,
                                                        MlirAttribute recipe, int64_t headDim,
                                                        int64_t valueHeadDim);
MLIR_CAPI_EXPORTED int64_t sageScheduleAttrGetHeadDim(MlirAttribute attribute);
MLIR_CAPI_EXPORTED int64_t sageScheduleAttrGetBlockRows(MlirAttribute attribute);
MLIR_CAPI_EXPORTED int64_t sageScheduleAttrGetKeyTile(MlirAttribute attribute);
MLIR_CAPI_EXPORTED int64_t sageScheduleAttrGetStages(MlirAttribute attribute);
MLIR_CAPI_EXPORTED int64_t sageScheduleAttrGetThreads(MlirAttribute attribute);
MLIR_CAPI_EXPORTED int64_t sageScheduleAttrGetSharedBytes(MlirAttribute attribute,
                                                          MlirAttribute recipe);

#ifdef __cplusplus
}
#endif
#endif
