// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-two-level-accumulation{interval=32})))" | FileCheck %s
// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-two-level-accumulation{value-chunks=2})))" | FileCheck %s --check-prefix=CHUNKS
// RUN: not sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-two-level-accumulation{value-chunks=0})))" 2>&1 | FileCheck %s --check-prefix=ERROR

// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-two-level-accumulation{inner=f16 interval=32})))" | FileCheck %s --check-prefix=HALF
// RUN: not sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-two-level-accumulation{inner=bf16})))" 2>&1 | FileCheck %s --check-prefix=INNER

// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-two-level-accumulation{value-chunks=5 in-flight=1})))" | FileCheck %s --check-prefix=ONE
// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-two-level-accumulation)))" | FileCheck %s --check-prefix=WHOLE
// RUN: not sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-two-level-accumulation{interval=-1})))" 2>&1 | FileCheck %s --check-prefix=INTERVAL
// RUN: not sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-two-level-accumulation{in-flight=0})))" 2>&1 | FileCheck %s --check-prefix=FLIGHT

// INTERVAL: error: interval must not be negative, but got -1

// One fresh fragment at a time: each chunk is added before the next is made.
// ONE-LABEL: sage_tile.kernel @rescaled
// ONE: sage_tile.mma
// ONE-NOT: sage_tile.mma
// ONE: math.fma
// ONE: sage_tile.mma
// ONE-NOT: sage_tile.mma
// ONE: math.fma
// FLIGHT: error: in-flight must be positive, but got 0
// INNER: error: inner must be f32 or f16, but got bf16
// ERROR: error: value-chunks must be positive, but got 0

#acc40 = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 5:(0, 8)]>
#operand = #sage_tile.layout<lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]>
#row = #sage_tile.layout<lane = [4:(0, 0), 8:(1, 0)], reg = [2:(8, 0)]>
!output = !sage_tile.fragment<16x40xf32, #acc40>
!packed = !sage_tile.fragment<16x32xf8E4M3FN, #operand>
!row = !sage_tile.fragment<16x1xf32, #row>
!value = !sage_tile.shared<40x32xf8E4M3FN, swizzle = 32>

gpu.module @kernels {
// CHECK-LABEL: sage_tile.kernel @rescaled
// CHUNKS-LABEL: sage_tile.kernel @rescaled
sage_tile.kernel @rescaled(%buffer: memref<?x40xf32>, %p8: memref<?x32xf8E4M3FN>, %alphas: memref<?xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %v = sage_tile.alloc : !value
  %p = sage_tile.load %p8[%c0, %c0] : memref<?x32xf8E4M3FN> to !packed
  %o = sage_tile.load %buffer[%c0, %c0] : memref<?x40xf32> to !output
  %alpha = sage_tile.load %alphas[%c0] : memref<?xf32> to !row
  // CHECK: %[[V:.+]] = sage_tile.alloc
  // CHECK: %[[P:.+]] = sage_tile.load {{.*}} to <16x32xf8E4M3FN
  // CHECK: %[[O:.+]] = sage_tile.load {{.*}} to <16x40xf32
  // CHECK: %[[ALPHA:.+]] = sage_tile.load {{.*}} to <16x1xf32
  // CHECK-NOT: arith.mulf
  // CHECK: %[[ZERO:.+]] = sage_tile.splat %{{.+}} : f32
  // CHECK: %[[T:.+]] = sage_tile.mma %[[P]], %[[V]], %[[ZERO]]
  // CHECK: %[[SUM:.+]] = sage_tile.map ins(%[[O]], %[[ALPHA]], %[[T]]
  // CHECK: ^bb0(%[[X:.+]]: f32, %[[A:.+]]: f32, %[[Y:.+]]: f32):
  // CHECK: math.fma %[[X]], %[[A]], %[[Y]]
  // CHECK: sage_tile.store %[[SUM]]

  // 40 columns in two chunks: 16, and the rest.
  // CHUNKS: %[[O:.+]] = sage_tile.load {{.*}} to <16x40xf32
  // CHUNKS: sage_tile.subtile %{{.+}}[%{{.+}}] : <40x32xf8E4M3FN, swizzle = 32> to <16x32xf8E4M3FN, swizzle = 32>
  // CHUNKS: %[[T0:.+]] = sage_tile.mma
  // CHUNKS: %[[C16:.+]] = arith.constant 16 : index
  // CHUNKS: sage_tile.subtile %{{.+}}[%[[C16]]] : <40x32xf8E4M3FN, swizzle = 32> to <24x32xf8E4M3FN, swizzle = 32>
  // CHUNKS: %[[T1:.+]] = sage_tile.mma
  // CHUNKS: %[[O0:.+]] = sage_tile.slice %[[O]][0] : <16x40xf32, #{{.+}}> to <16x16xf32
  // CHUNKS: %[[N0:.+]] = sage_tile.map ins(%[[O0]], %{{.+}}, %[[T0]]
  // CHUNKS: %[[O1:.+]] = sage_tile.slice %[[O]][16] : <16x40xf32, #{{.+}}> to <16x24xf32
  // CHUNKS: %[[N1:.+]] = sage_tile.map ins(%[[O1]], %{{.+}}, %[[T1]]
  // CHUNKS: sage_tile.concat %[[N0]], %[[N1]]
  %rescaled = sage_tile.map ins(%o, %alpha : !output, !row) to !output {
  ^bb0(%x: f32, %a: f32):
    %0 = arith.mulf %x, %a : f32
    sage_tile.yield %0 : f32
  }
  %new = sage_tile.mma %p, %v, %rescaled : !packed, !value to !output
  sage_tile.store %new, %buffer[%c0, %c0] : !output to memref<?x40xf32>
  sage_tile.return
}

// An accumulator that is not a rescaled value stays.
// CHECK-LABEL: sage_tile.kernel @plain
sage_tile.kernel @plain(%buffer: memref<?x40xf32>, %p8: memref<?x32xf8E4M3FN>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %v = sage_tile.alloc : !value
  %p = sage_tile.load %p8[%c0, %c0] : memref<?x32xf8E4M3FN> to !packed
  // CHECK: %[[O:.+]] = sage_tile.load {{.*}} to <16x40xf32
  // CHECK: sage_tile.mma %{{.+}}, %{{.+}}, %[[O]]
  %o = sage_tile.load %buffer[%c0, %c0] : memref<?x40xf32> to !output
  %new = sage_tile.mma %p, %v, %o : !packed, !value to !output
  sage_tile.store %new, %buffer[%c0, %c0] : !output to memref<?x40xf32>
  sage_tile.return
}

// Tokens in two panels: two products. Under interval=32 each has a fresh fragment, and the second sum only adds; else one
// fragment takes both.
// CHECK-LABEL: sage_tile.kernel @panels
// WHOLE-LABEL: sage_tile.kernel @panels
// WHOLE: %[[Z:.+]] = sage_tile.splat %{{.+}} : f32
// WHOLE: %[[T0:.+]] = sage_tile.mma %{{.+}}, %{{.+}}, %[[Z]]
// WHOLE: %[[T1:.+]] = sage_tile.mma %{{.+}}, %{{.+}}, %[[T0]]
// WHOLE: %[[N:.+]] = sage_tile.map ins(%{{.+}}, %{{.+}}, %[[T1]]
// WHOLE: math.fma
// WHOLE: sage_tile.store %[[N]]
// HALF-LABEL: sage_tile.kernel @panels
sage_tile.kernel @panels(%buffer: memref<?x40xf32>, %p8: memref<?x32xf8E4M3FN>, %alphas: memref<?xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %v0 = sage_tile.alloc : !value
  %v1 = sage_tile.alloc : !value
  %p0 = sage_tile.load %p8[%c0, %c0] : memref<?x32xf8E4M3FN> to !packed
  %p1 = sage_tile.load %p8[%c32, %c0] : memref<?x32xf8E4M3FN> to !packed
  %o = sage_tile.load %buffer[%c0, %c0] : memref<?x40xf32> to !output
  %alpha = sage_tile.load %alphas[%c0] : memref<?xf32> to !row
  // CHECK: %[[O:.+]] = sage_tile.load {{.*}} to <16x40xf32
  // CHECK: %[[ALPHA:.+]] = sage_tile.load {{.*}} to <16x1xf32
  // CHECK-NOT: arith.mulf
  // CHECK: %[[Z0:.+]] = sage_tile.splat %{{.+}} : f32
  // CHECK: %[[T0:.+]] = sage_tile.mma %{{.+}}, %{{.+}}, %[[Z0]]
  // CHECK: %[[N0:.+]] = sage_tile.map ins(%[[O]], %[[ALPHA]], %[[T0]]
  // CHECK: math.fma
  // CHECK: %[[Z1:.+]] = sage_tile.splat %{{.+}} : f32
  // CHECK: %[[T1:.+]] = sage_tile.mma %{{.+}}, %{{.+}}, %[[Z1]]
  // CHECK: %[[N1:.+]] = sage_tile.map ins(%[[N0]], %[[T1]]
  // CHECK: ^bb0(%[[X:.+]]: f32, %[[Y:.+]]: f32):
  // CHECK: arith.addf %[[X]], %[[Y]]
  // CHECK: sage_tile.store %[[N1]]
  // HALF: %[[T0:.+]] = sage_tile.mma {{.*}} to !sage_tile.fragment<16x40xf16
  // HALF: sage_tile.map ins(%{{.+}}, %{{.+}}, %[[T0]]
  // HALF: ^bb0(%[[X:.+]]: f32, %[[A:.+]]: f32, %[[Y:.+]]: f16):
  // HALF: %[[WIDE:.+]] = arith.extf %[[Y]] : f16 to f32
  // HALF: math.fma %[[X]], %[[A]], %[[WIDE]]
  // HALF: %[[T1:.+]] = sage_tile.mma {{.*}} to !sage_tile.fragment<16x40xf16
  // HALF: arith.extf
  // HALF: arith.addf
  %rescaled = sage_tile.map ins(%o, %alpha : !output, !row) to !output {
  ^bb0(%x: f32, %a: f32):
    %0 = arith.mulf %x, %a : f32
    sage_tile.yield %0 : f32
  }
  %half = sage_tile.mma %p0, %v0, %rescaled : !packed, !value to !output
  %new = sage_tile.mma %p1, %v1, %half : !packed, !value to !output
  sage_tile.store %new, %buffer[%c0, %c0] : !output to memref<?x40xf32>
  sage_tile.return
}
}
