// Options of sage-compile, and what it says when they do not fit.
// REQUIRES: sage-compile
// RUN: sage-compile %s --chip=sm_90a --print-schedule -o %t.ptx 2>&1 | FileCheck %s --check-prefix=SCHEDULE
// RUN: head -c 300 %t.ptx | FileCheck %s --check-prefix=ARTIFACT
// RUN: sage-compile --help | FileCheck %s --check-prefix=HELP
// RUN: sage-compile --list-chips | FileCheck %s --check-prefix=CHIPS
// RUN: sage-compile %s --chip=sm_90a --emit=sage | FileCheck %s --check-prefix=SAGE
// RUN: sage-compile %s --chip=sm_90a --emit=tile | FileCheck %s --check-prefix=TILE
// RUN: sage-compile %s --chip=sm_90a --emit=nvvm | FileCheck %s --check-prefix=NVVM
// RUN: sage-compile %s --chip=sm_90a --mlir-timing -o %t.ptx 2>&1 | FileCheck %s --check-prefix=TIMING
// RUN: not sage-compile %s --chip=sm_70 2>&1 | FileCheck %s --check-prefix=CHIP
// RUN: not sage-compile %s --chip=sm_90a --recipe=sage3 2>&1 | FileCheck %s --check-prefix=RECIPE
// RUN: not sage-compile %s --chip=sm_80 2>&1 | FileCheck %s --check-prefix=SM80
// RUN: not sage-compile %s --chip=sm_90a --emit=cubin 2>&1 | FileCheck %s --check-prefix=CUBIN
// RUN: not sage-compile %s --chip=sm_90a --emit=cubin --ptxas=/no/ptxas -o %t.ptx 2>&1 | FileCheck %s --check-prefix=PTXAS
// RUN: not sage-compile %t.missing --chip=sm_90a 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: not sage-compile %s --chip=sm_90a --program=other 2>&1 | FileCheck %s --check-prefix=PROGRAM

// SCHEDULE: @plain_attention:
// SCHEDULE: recipe: #sage.recipe<"sage2-8b">
// SCHEDULE: schedule: #sage.schedule<family = wgmma
// ARTIFACT: // sage-artifact: 3
// ARTIFACT-NEXT: // sage-checksum: xxh3 {{[0-9a-f]+$}}
// ARTIFACT-NEXT: // sage-manifest: {
// HELP: sage-compile attention.mlir --chip=sm_90a
// HELP: --help-hidden
// HELP-NOT: --amdgpu
// HELP: --chip=<chip>
// HELP-NOT: --wasm

// CHIPS: sm_80
// CHIPS: sm_90a
// SAGE: sage.quantized_attention
// TILE: sage_tile.specialize
// NVVM: llvm.func @attention
// TIMING: Execution time report
// TIMING: ConvertSageToSageTile
// CHIP: error: {{.*}}chip must be one of
// RECIPE: error: {{.*}}recipe must be one of
// SM80: error: {{.*}}e4m3
// CUBIN: error: --emit=cubin writes two files: name the artifact with -o
// PTXAS: error: '/no/ptxas' is not a program
// MISSING: error: {{.*}}No such file
// PROGRAM: error: program must be one of @plain_attention, but got @other
func.func @plain(%q: tensor<1x8x?x128xf16>, %k: tensor<1x2x?x128xf16>, %o: tensor<1x8x?x128xf16>) -> tensor<1x8x?x128xf16> {
  %0 = sage.attention ins(%q, %k, %k : tensor<1x8x?x128xf16>, tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16>)
         outs(%o : tensor<1x8x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x?x128xf16>
  return %0 : tensor<1x8x?x128xf16>
}
