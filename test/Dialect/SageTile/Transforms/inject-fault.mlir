// RUN: sage-opt %S/Inputs/attention.mlir --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-inject-fault{kind=wrong-scale-index})))" | FileCheck %s --check-prefix=SCALE
// RUN: sage-opt %S/Inputs/attention.mlir --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-inject-fault{kind=missing-rescale})))" | FileCheck %s --check-prefix=RESCALE
// RUN: sage-opt %S/Inputs/attention.mlir --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-inject-fault{kind=mask-off-by-one})))" | FileCheck %s --check-prefix=MASK
// RUN: sage-opt %S/Inputs/attention.mlir --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-inject-fault{kind=unmasked-tail})))" | FileCheck %s --check-prefix=TAIL
// RUN: sage-opt %S/Inputs/attention.mlir --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-inject-fault{kind=wrong-tile-order})))" | FileCheck %s --check-prefix=ORDER
// RUN: sage-opt %S/Inputs/attention.mlir --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-inject-fault{kind=dropped-lse-correction})))" | FileCheck %s --check-prefix=LSE
// RUN: not sage-opt %S/Inputs/attention.mlir --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-inject-fault{kind=stale-stage})))" 2>&1 | FileCheck %s --check-prefix=STAGE
// RUN: sage-opt %S/Inputs/attention.mlir --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-inject-fault{kind=stale-stage kernel=other})))" | FileCheck %s --check-prefix=OTHER
// RUN: not sage-opt %S/Inputs/attention.mlir --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-inject-fault{kind=gremlin})))" 2>&1 | FileCheck %s --check-prefix=KIND

// SCALE: #[[NEXT:.+]] = affine_map<(d0, d1) -> (-d1 + 3)>
// SCALE: sage_tile.load {{.*}} map #[[NEXT]] : !sage_tile.shared<4xf32>

// RESCALE: sage_tile.copy {{.*}} to <128x128xf8E4M3FN
// RESCALE: ^bb0(%[[X:[^:]+]]: f32, %{{.+}}: f32):
// RESCALE-NEXT: %[[ONE:.+]] = arith.constant 1.000000e+00 : f32
// RESCALE-NEXT: arith.mulf %[[X]], %[[ONE]]

// MASK: sage_tile.map positions
// MASK: arith.cmpi sle

// TAIL: ^bb0(%{{.+}}: i32, %{{.+}}: i32, %[[X:[^:]+]]: f32, %{{.+}}: i32):
// TAIL-NEXT: sage_tile.yield %[[X]]

// ORDER: scf.for %[[I:[^ ]+]] =
// ORDER-NEXT: arith.muli %[[I]]

// LSE: math.log2
// LSE-NOT: sage_tile.load
// LSE: sage_tile.store

// STAGE: error: kernel must have what fault 'stale-stage' breaks
// OTHER: sage_tile.kernel @attention
// KIND: error: kind of fault must be a known one, but got 'gremlin'
// KIND: note: known are wrong-scale-index, missing-rescale, mask-off-by-one, swapped-value-order, dropped-lse-correction, missing-value-scale, wrong-tile-order, unmasked-tail, stale-stage, missing-full-wait, missing-empty-wait
