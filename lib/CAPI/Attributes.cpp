// Attributes through the C API.

#include "sage-c/Attributes.h"

#include "Enumerators.h"
#include "mlir/CAPI/AffineMap.h"
#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Support.h"
#include "sage/Dialect/Sage/IR/SageDialect.h"
#include "sage/Schedule/ScheduleLookup.h"

#include <cstring>

using namespace mlir;
using namespace sage;

template <typename Attr> static Attr get(MlirAttribute attribute) {
  return cast<Attr>(unwrap(attribute));
}

template <typename Attr> static bool isA(MlirAttribute attribute) {
  return isa_and_present<Attr>(unwrap(attribute));
}

// Recipes

bool sageAttributeIsARecipe(MlirAttribute attribute) { return isA<RecipeAttr>(attribute); }

MlirAttribute sageRecipeAttrGetNamed(MlirContext context, MlirStringRef name) {
  unwrap(context)->getOrLoadDialect<SageDialect>();
  return wrap(RecipeAttr::getNamed(unwrap(context), unwrap(name)));
}

static Smoothing getSmoothing(const sage_recipe &recipe) {
  Smoothing smoothing = Smoothing::None;
  if (recipe.smooth_q)
    smoothing = smoothing | Smoothing::Query;
  if (recipe.smooth_k)
    smoothing = smoothing | Smoothing::Key;
  if (recipe.smooth_v)
    smoothing = smoothing | Smoothing::Value;
  return smoothing;
}

MlirAttribute sageRecipeAttrGetChecked(MlirLocation location, const sage_recipe *recipe) {
  Location loc = unwrap(location);
  loc->getContext()->getOrLoadDialect<SageDialect>();
  auto qk = getEnumerator(recipe->qk);
  auto granularity = getEnumerator(recipe->granularity);
  auto pv = getEnumerator(recipe->pv);
  auto accumulation = getEnumerator(recipe->accumulation);
  auto inner = getEnumerator(recipe->inner);
  auto rowSum = getEnumerator(recipe->row_sum);
  auto rotate = getEnumerator(recipe->rotate);
  auto range = getEnumerator(recipe->range);
  const std::tuple<StringRef, bool, int64_t> fields[] = {
      {"qk", qk.has_value(), recipe->qk},
      {"granularity", granularity.has_value(), recipe->granularity},
      {"pv", pv.has_value(), recipe->pv},
      {"accumulation", accumulation.has_value(), recipe->accumulation},
      {"inner", inner.has_value(), recipe->inner},
      {"row_sum", rowSum.has_value(), recipe->row_sum},
      {"rotate", rotate.has_value(), recipe->rotate},
      {"range", range.has_value(), recipe->range}};
  for (auto [name, isKnown, value] : fields)
    if (!isKnown) {
      emitError(loc) << "recipe's " << name << " must be an enumerator of sage.h, but got "
                     << value;
      return {nullptr};
    }
  return wrap(RecipeAttr::getChecked([&] { return emitError(loc); }, loc->getContext(), *qk,
                                     *granularity, getSmoothing(*recipe), *pv, *accumulation,
                                     *inner, recipe->interval, *rowSum, *rotate, *range));
}

void sageRecipeAttrGetValue(MlirAttribute attribute, sage_recipe *recipe) {
  auto attr = get<RecipeAttr>(attribute);
  // Names are literals of the table, which end in a NUL.
  recipe->name = attr.getName().value_or("custom").data();
  recipe->qk = static_cast<sage_score_type>(attr.getQk());
  recipe->granularity = static_cast<sage_granularity>(attr.getGranularity());
  recipe->smooth_q = attr.smoothsQuery();
  recipe->smooth_k = attr.smoothsKey();
  recipe->smooth_v = attr.smoothsValue();
  recipe->pv = static_cast<sage_value_type>(attr.getPv());
  recipe->accumulation = static_cast<sage_accumulation>(attr.getAccumulation());
  recipe->inner = static_cast<sage_inner>(attr.getInner());
  recipe->row_sum = static_cast<sage_row_sum>(attr.getRowSum());
  recipe->interval = attr.getInterval();
  recipe->rotate = static_cast<sage_rotation>(attr.getRotate());
  recipe->range = static_cast<sage_score_range>(attr.getRange());
}

// Layouts and masks

bool sageAttributeIsALayout(MlirAttribute attribute) { return isA<LayoutAttr>(attribute); }

MlirAttribute sageLayoutAttrGet(MlirContext context, sage_layout layout) {
  unwrap(context)->getOrLoadDialect<SageDialect>();
  auto value = getEnumerator(layout);
  return wrap(value ? Attribute(LayoutAttr::get(unwrap(context), *value)) : Attribute());
}

sage_layout sageLayoutAttrGetValue(MlirAttribute attribute) {
  return static_cast<sage_layout>(get<LayoutAttr>(attribute).getValue());
}

bool sageAttributeIsAMask(MlirAttribute attribute) { return isA<MaskAttr>(attribute); }

MlirAttribute sageMaskAttrGet(MlirContext context, sage_mask mask) {
  unwrap(context)->getOrLoadDialect<SageDialect>();
  auto value = getEnumerator(mask);
  return wrap(value ? Attribute(MaskAttr::get(unwrap(context), *value)) : Attribute());
}

sage_mask sageMaskAttrGetValue(MlirAttribute attribute) {
  return static_cast<sage_mask>(get<MaskAttr>(attribute).getValue());
}

// Targets

bool sageAttributeIsATarget(MlirAttribute attribute) { return isA<TargetAttr>(attribute); }

MlirAttribute sageTargetAttrLookup(MlirLocation location, MlirStringRef chip) {
  Location loc = unwrap(location);
  FailureOr<TargetAttr> target =
      lookupTarget(loc->getContext(), unwrap(chip), [&] { return emitError(loc); });
  return wrap(Attribute(target.value_or(nullptr)));
}

MlirStringRef sageTargetAttrGetChip(MlirAttribute attribute) {
  return wrap(get<TargetAttr>(attribute).getChip());
}

SageFamily sageTargetAttrGetFamily(MlirAttribute attribute) {
  return static_cast<SageFamily>(get<TargetAttr>(attribute).getFamily());
}

int64_t sageTargetAttrGetSharedBytes(MlirAttribute attribute) {
  return get<TargetAttr>(attribute).getSharedBytes();
}

bool sageTargetAttrCanRun(MlirAttribute attribute, MlirAttribute recipe) {
  return !get<TargetAttr>(attribute).findConflict(get<RecipeAttr>(recipe));
}

// Geometries

bool sageAttributeIsAGeometry(MlirAttribute attribute) { return isA<GeometryAttr>(attribute); }

MlirAttribute sageGeometryAttrGetDefault(MlirAttribute recipe, SageFamily family,
                                         int64_t queryBlock, int64_t keyTile, int64_t headDim) {
  return wrap(GeometryAttr::getDefault(get<RecipeAttr>(recipe), static_cast<Family>(family),
                                       queryBlock, keyTile, headDim));
}

MlirAttribute sageGeometryAttrGetChecked(MlirLocation location, int64_t queryBlock, int64_t keyTile,
                                         MlirAffineMap queryGroups, MlirAffineMap keyGroups,
                                         MlirAffineMap valueOrder, MlirAffineMap keyParts) {
  Location loc = unwrap(location);
  loc->getContext()->getOrLoadDialect<SageDialect>();
  return wrap(GeometryAttr::getChecked(
      [&] { return emitError(loc); }, loc->getContext(), queryBlock, keyTile,
      AffineMapAttr::get(unwrap(queryGroups)), AffineMapAttr::get(unwrap(keyGroups)),
      AffineMapAttr::get(unwrap(valueOrder)),
      mlirAffineMapIsNull(keyParts) ? AffineMapAttr() : AffineMapAttr::get(unwrap(keyParts))));
}

int64_t sageGeometryAttrGetQueryBlock(MlirAttribute attribute) {
  return get<GeometryAttr>(attribute).getQueryBlock();
}

int64_t sageGeometryAttrGetKeyTile(MlirAttribute attribute) {
  return get<GeometryAttr>(attribute).getKeyTile();
}

MlirAffineMap sageGeometryAttrGetQueryGroups(MlirAttribute attribute) {
  return wrap(get<GeometryAttr>(attribute).getQueryGroupMap());
}

MlirAffineMap sageGeometryAttrGetKeyGroups(MlirAttribute attribute) {
  return wrap(get<GeometryAttr>(attribute).getKeyGroupMap());
}

MlirAffineMap sageGeometryAttrGetValueOrder(MlirAttribute attribute) {
  return wrap(get<GeometryAttr>(attribute).getValueOrderMap());
}

MlirAffineMap sageGeometryAttrGetKeyParts(MlirAttribute attribute) {
  AffineMapAttr keyParts = get<GeometryAttr>(attribute).getKeyParts();
  return keyParts ? wrap(keyParts.getValue()) : MlirAffineMap{nullptr};
}

// Schedules

bool sageAttributeIsASchedule(MlirAttribute attribute) { return isA<ScheduleAttr>(attribute); }

MlirAttribute sageScheduleAttrLookup(MlirLocation location, MlirAttribute target,
                                     MlirAttribute recipe, int64_t headDim, int64_t valueHeadDim) {
  ScheduleQuery query{get<TargetAttr>(target), headDim, valueHeadDim, get<RecipeAttr>(recipe)};
  FailureOr<ScheduleAttr> schedule =
      lookupSchedule(query, [&] { return emitError(unwrap(location)); });
  return wrap(Attribute(schedule.value_or(nullptr)));
}

int64_t sageScheduleAttrGetHeadDim(MlirAttribute attribute) {
  return get<ScheduleAttr>(attribute).getHeadDim();
}

int64_t sageScheduleAttrGetBlockRows(MlirAttribute attribute) {
  return get<ScheduleAttr>(attribute).getBlockRows();
}

int64_t sageScheduleAttrGetKeyTile(MlirAttribute attribute) {
  return get<ScheduleAttr>(attribute).getKeyTile();
}

int64_t sageScheduleAttrGetStages(MlirAttribute attribute) {
  return get<ScheduleAttr>(attribute).getStages();
}

int64_t sageScheduleAttrGetThreads(MlirAttribute attribute) {
  return get<ScheduleAttr>(attribute).getThreads();
}

int64_t sageScheduleAttrGetSharedBytes(MlirAttribute attribute, MlirAttribute recipe) {
  return get<ScheduleAttr>(attribute).getSharedBytes(get<RecipeAttr>(recipe));
}
