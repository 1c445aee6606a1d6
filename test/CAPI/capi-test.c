/* The C API in the style of MLIR's: registration, attributes, pipelines, the artifact.

   REQUIRES: sage-capi-test
   RUN: sage-capi-test %sage_src/examples/attention.mlir 2>&1 | FileCheck %s
*/
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/Diagnostics.h"
#include "mlir-c/IR.h"
#include "mlir-c/Pass.h"
#include "sage-c/Attributes.h"
#include "sage-c/Dialects.h"
#include "sage-c/Pipelines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static MlirStringRef text(const char *string) { return mlirStringRefCreateFromCString(string); }

static void print(MlirStringRef part, void *stream) { fwrite(part.data, 1, part.length, stream); }

static MlirLogicalResult report(MlirDiagnostic diagnostic, void *data) {
  (void)data;
  printf("diagnostic: ");
  mlirDiagnosticPrint(diagnostic, print, stdout);
  printf("\n");
  return mlirLogicalResultSuccess();
}

static void show(const char *name, MlirAttribute attribute) {
  printf("%s: ", name);
  if (mlirAttributeIsNull(attribute))
    printf("null");
  else
    mlirAttributePrint(attribute, print, stdout);
  printf("\n");
}

static void test_recipes(MlirContext context, MlirLocation location) {
  MlirAttribute named = sageRecipeAttrGetNamed(context, text("sage2-4b"));
  show("named", named); // CHECK: named: #sage.recipe<"sage2-4b">
  show("unknown", sageRecipeAttrGetNamed(context, text("sage9"))); // CHECK: unknown: null

  sage_recipe recipe;
  sageRecipeAttrGetValue(named, &recipe);
  printf("%s %d %d %d\n", recipe.name, recipe.qk == SAGE_SCORE_INT4, recipe.smooth_q,
         recipe.smooth_v); // CHECK: sage2-4b 1 1 0
  recipe.smooth_q = 0;
  MlirAttribute changed = sageRecipeAttrGetChecked(location, &recipe);
  show("changed", changed); // CHECK: changed: #sage.recipe<"sage2-8b", qk = int4>
  sageRecipeAttrGetValue(changed, &recipe);
  printf("%s\n", recipe.name); // CHECK: custom

  recipe.interval = 33;
  show("odd", sageRecipeAttrGetChecked(location, &recipe));
  // CHECK: diagnostic: recipe interval must be {{.*}}a positive multiple of 32 tokens, but got 33
  // CHECK: odd: null
  recipe.qk = (sage_score_type)17;
  show("no enumerator", sageRecipeAttrGetChecked(location, &recipe));
  // CHECK: diagnostic: recipe's qk must be an enumerator of sage.h, but got 17
  // CHECK: no enumerator: null
  printf("%d %d\n", sageAttributeIsARecipe(named),
         sageAttributeIsARecipe(mlirUnitAttrGet(context))); // CHECK: 1 0
}

static void test_masks_and_layouts(MlirContext context) {
  MlirAttribute mask = sageMaskAttrGet(context, SAGE_MASK_CAUSAL_BOTTOM_RIGHT);
  MlirAttribute layout = sageLayoutAttrGet(context, SAGE_TOKEN_MAJOR);
  show("mask", mask);     // CHECK: mask: #sage.mask<causal_bottom_right>
  show("layout", layout); // CHECK: layout: #sage.layout<token_major>
  printf("%d %d %d %d\n", sageAttributeIsAMask(mask), sageAttributeIsALayout(mask),
         sageMaskAttrGetValue(mask) == SAGE_MASK_CAUSAL_BOTTOM_RIGHT,
         sageLayoutAttrGetValue(layout) == SAGE_TOKEN_MAJOR); // CHECK: 1 0 1 1
  show("no mask", sageMaskAttrGet(context, (sage_mask)99));   // CHECK: no mask: null
}

static void test_plans(MlirContext context, MlirLocation location) {
  MlirAttribute recipe = sageRecipeAttrGetNamed(context, text("sage2-8b"));
  MlirAttribute target = sageTargetAttrLookup(location, text("sm_90a"));
  MlirStringRef chip = sageTargetAttrGetChip(target);
  printf("%.*s %d %d\n", (int)chip.length, chip.data,
         sageTargetAttrGetFamily(target) == SageFamilyWgmma,
         sageTargetAttrCanRun(target, recipe)); // CHECK: sm_90a 1 1
  show("no chip", sageTargetAttrLookup(location, text("sm_1")));
  // CHECK: diagnostic: chip must be one of {{.*}}sm_90a{{.*}}, but got 'sm_1'
  // CHECK: no chip: null

  MlirAttribute schedule = sageScheduleAttrLookup(location, target, recipe, 128, 128);
  printf("%d %d %d\n", sageAttributeIsASchedule(schedule),
         sageScheduleAttrGetHeadDim(schedule) == 128,
         sageScheduleAttrGetSharedBytes(schedule, recipe) <=
             sageTargetAttrGetSharedBytes(target)); // CHECK: 1 1 1
  printf("%d %d %d %d\n", sageScheduleAttrGetBlockRows(schedule) > 0,
         sageScheduleAttrGetKeyTile(schedule) > 0, sageScheduleAttrGetStages(schedule) > 0,
         sageScheduleAttrGetThreads(schedule) % 32 == 0); // CHECK: 1 1 1 1
  show("no schedule", sageScheduleAttrLookup(location, target, recipe, 1024, 1024));
  // CHECK: diagnostic: head dims of query and value, padded to a multiple of 64, must be one of
  // CHECK: no schedule: null

  MlirAttribute geometry = sageGeometryAttrGetDefault(recipe, SageFamilyMmaSync, 0, 0, 128);
  printf("%d %d %d\n", sageAttributeIsAGeometry(geometry),
         (int)sageGeometryAttrGetQueryBlock(geometry),
         (int)sageGeometryAttrGetKeyTile(geometry)); // CHECK: 1 128 64
  MlirAttribute same = sageGeometryAttrGetChecked(
      location, 128, 64, sageGeometryAttrGetQueryGroups(geometry),
      sageGeometryAttrGetKeyGroups(geometry), sageGeometryAttrGetValueOrder(geometry),
      sageGeometryAttrGetKeyParts(geometry));
  printf("%d\n", mlirAttributeEqual(geometry, same)); // CHECK: 1
  show("no geometry",
       sageGeometryAttrGetChecked(location, -1, 64, sageGeometryAttrGetQueryGroups(geometry),
                                  sageGeometryAttrGetKeyGroups(geometry),
                                  sageGeometryAttrGetValueOrder(geometry),
                                  sageGeometryAttrGetKeyParts(geometry)));
  // CHECK: diagnostic: {{.*}}, but got -1
  // CHECK: no geometry: null
}

static MlirModule read_example(MlirContext context, const char *path) {
  static char source[1 << 16];
  FILE *file = fopen(path, "rb");
  size_t size = file ? fread(source, 1, sizeof(source) - 1, file) : 0;
  if (file)
    fclose(file);
  return mlirModuleCreateParse(context, mlirStringRefCreate(source, size));
}

static int run(MlirContext context, MlirModule module, const char *name,
               void (*add)(MlirOpPassManager, const SagePipelineOptions *),
               const SagePipelineOptions *options) {
  MlirPassManager manager = mlirPassManagerCreate(context);
  add(mlirPassManagerGetAsOpPassManager(manager), options);
  int ok =
      mlirLogicalResultIsSuccess(mlirPassManagerRunOnOp(manager, mlirModuleGetOperation(module)));
  printf("%s: %s\n", name, ok ? "ok" : "failed");
  mlirPassManagerDestroy(manager);
  return ok;
}

static void add_cpu(MlirOpPassManager manager, const SagePipelineOptions *options) {
  (void)options;
  sageAddSageToCpuPipeline(manager);
}

static void count(MlirStringRef part, void *total) { *(size_t *)total += part.length; }

static void test_pipelines(MlirContext context, const char *path) {
  SagePipelineOptions options;
  memset(&options, 0, sizeof(options));
  options.chip = text("sm_89");
  MlirModule module = read_example(context, path);
  run(context, module, "quantized", sageAddSageToQuantizedPipeline,
      &options);                              // CHECK: quantized: ok
  run(context, module, "cpu", add_cpu, NULL); // CHECK: cpu: ok
  mlirModuleDestroy(module);

  module = read_example(context, path);
  run(context, module, "tile", sageAddSageToTilePipeline, &options); // CHECK: tile: ok
  mlirModuleDestroy(module);

  module = read_example(context, path);
  size_t size = 0;
  printf("%d\n", mlirLogicalResultIsSuccess(sageEmitArtifact(module, text(""), count, &size)));
  // CHECK: diagnostic: module must have a sage_tile.program, but got none
  // CHECK: 0
  run(context, module, "nvvm", sageAddSageToNVVMPipeline, &options); // CHECK: nvvm: ok
  int emitted = mlirLogicalResultIsSuccess(sageEmitArtifact(module, text(""), count, &size));
  printf("%d %d\n", emitted, size > 10000); // CHECK: 1 1
  mlirModuleDestroy(module);

  module = read_example(context, path);
  run(context, module, "gpu", sageAddSageToGpuPipeline, &options); // CHECK: gpu: ok
  mlirModuleDestroy(module);

  module = read_example(context, path);
  options.recipe = text("sage5");
  run(context, module, "no recipe", sageAddSageToPTXPipeline, &options);
  // CHECK: diagnostic: recipe must be one of sage2-8b{{.*}}, but got 'sage5'
  // CHECK: no recipe: failed
  mlirModuleDestroy(module);
}

/* Pipelines as text, once they are registered. */
static void test_text(MlirContext context, const char *path) {
  MlirModule module = read_example(context, path);
  MlirPassManager manager = mlirPassManagerCreate(context);
  MlirLogicalResult parsed =
      mlirParsePassPipeline(mlirPassManagerGetAsOpPassManager(manager),
                            text("builtin.module(sage-to-ptx{chip=sm_89})"), print, stdout);
  printf("%d\n", mlirLogicalResultIsSuccess(parsed)); // CHECK: 1
  MlirLogicalResult ran = mlirPassManagerRunOnOp(manager, mlirModuleGetOperation(module));
  printf("%d\n", mlirLogicalResultIsSuccess(ran)); // CHECK: 1
  mlirPassManagerDestroy(manager);
  mlirModuleDestroy(module);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s module.mlir\n", argv[0]);
    return 1;
  }
  MlirDialectRegistry registry = mlirDialectRegistryCreate();
  sageRegisterAll(registry);
  MlirDialectHandle sage = mlirGetDialectHandle__sage__();
  mlirDialectHandleInsertDialect(sage, registry);
  MlirContext context = mlirContextCreateWithRegistry(registry, false);
  mlirContextAttachDiagnosticHandler(context, report, NULL, NULL);
  MlirLocation location = mlirLocationUnknownGet(context);
  test_recipes(context, location);
  test_masks_and_layouts(context);
  test_plans(context, location);
  test_pipelines(context, argv[1]);
  test_text(context, argv[1]);

  MlirStringRef name = mlirDialectGetNamespace(mlirDialectHandleLoadDialect(sage, context));
  MlirStringRef tile = mlirDialectHandleGetNamespace(mlirGetDialectHandle__sage_tile__());
  printf("%.*s %.*s\n", (int)name.length, name.data, (int)tile.length, tile.data);
  // CHECK: sage sage_tile
  mlirContextDestroy(context);
  mlirDialectRegistryDestroy(registry);
  return 0;
}
