// Every pass in order on a whole program; the verifier runs after each.
// RUN: sage-opt %S/Inputs/attention.mlir --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-two-level-accumulation{value-chunks=2},sage-tile-fold-score-conversion,sage-tile-issue-mma-async,sage-tile-specialize-warps,sage-tile-pipeline-copies{stages=2},sage-tile-peel-masks{drop-guards=true},sage-tile-interleave-exponentials{chunks=8},canonicalize,cse)))" | FileCheck %s
// RUN: sage-opt %S/Inputs/attention.mlir --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-two-level-accumulation{value-chunks=2},sage-tile-fold-score-conversion,sage-tile-issue-mma-async,sage-tile-specialize-warps,sage-tile-pipeline-copies{stages=2},sage-tile-peel-masks{drop-guards=true},sage-tile-interleave-exponentials{chunks=8},canonicalize,cse)))" | sage-opt | FileCheck %s

// CHECK-LABEL: sage_tile.kernel @attention
// CHECK-DAG: %[[Q:.+]] = sage_tile.alloc : <128x128xi8, swizzle = 128>
// CHECK-DAG: %[[K:.+]] = sage_tile.alloc : <2x128x128xi8, swizzle = 128>
// CHECK-DAG: %[[KS:.+]] = sage_tile.alloc : <2x4xf32>
// CHECK-DAG: %[[V:.+]] = sage_tile.alloc : <2x136x128xf8E4M3FN, swizzle = 128>
// CHECK-DAG: %[[MAGIC:.+]] = arith.constant 1262485504 : i32
// CHECK: %[[QFULL:.+]] = sage_tile.barrier_alloc arrivals(1) : <1>
// CHECK: %[[KFULL:.+]] = sage_tile.barrier_alloc arrivals(1) : <2>
// CHECK: %[[KEMPTY:.+]] = sage_tile.barrier_alloc arrivals(2) : <2>
// CHECK: %[[VFULL:.+]] = sage_tile.barrier_alloc arrivals(1) : <2>
// CHECK: %[[VEMPTY:.+]] = sage_tile.barrier_alloc arrivals(2) : <2>

// CHECK: sage_tile.specialize producer registers(24) {
// CHECK: sage_tile.barrier_expect %[[QFULL]][%{{.+}}] bytes(16384)
// CHECK: scf.for
// CHECK: sage_tile.barrier_wait %[[KEMPTY]]
// CHECK: sage_tile.barrier_expect %[[KFULL]][%{{.+}}] bytes(16400)
// CHECK: sage_tile.copy_async
// CHECK: sage_tile.copy_async
// CHECK: sage_tile.barrier_wait %[[VEMPTY]]
// CHECK: sage_tile.barrier_expect %[[VFULL]][%{{.+}}] bytes(16384)
// CHECK: sage_tile.copy_async

// CHECK: consumer registers(240) {
// CHECK: sage_tile.barrier_wait %[[QFULL]]
// CHECK: scf.for
// CHECK: arith.select
// CHECK: scf.for

// The loop without masks, up to the loop's end.
// CHECK-NOT: arith.select
// CHECK: sage_tile.barrier_wait %[[KFULL]]
// CHECK: sage_tile.load {{.*}} to <1x4xf32
// CHECK: sage_tile.splat %[[MAGIC]] : i32
// CHECK: sage_tile.mma_async
// CHECK: sage_tile.wait %{{.+}} pending(0)
// CHECK: sage_tile.barrier_arrive %[[KEMPTY]]
// CHECK: sage_tile.reduce <maxsi>
// CHECK: sage_tile.reduce <maximumf>
// CHECK-COUNT-7: sage_tile.order_after
// CHECK: sage_tile.concat
// CHECK: sage_tile.barrier_wait %[[VFULL]]
// CHECK: %[[T0:.+]] = sage_tile.mma_async
// CHECK: %[[T1:.+]] = sage_tile.mma_async
// CHECK: sage_tile.wait %[[T0]] pending(1)
// CHECK: math.fma
// CHECK: sage_tile.wait %[[T1]] pending(0)
// CHECK: sage_tile.barrier_arrive %[[VEMPTY]]
// CHECK: math.fma
// CHECK: scf.yield
