// What the main loop does for each score, and the rate that the chip's own rates allow.
// REQUIRES: sage-compile
// RUN: sage-compile %s --chip=sm_90a --schedule-file=%S/Inputs/rows.mlir --explain --explain-clock=1755 --ptxas=/no/ptxas 2>&1 | FileCheck %s
// RUN: sage-compile %s --chip=sm_90a --schedule-file=%S/Inputs/rows.mlir --explain=json --ptxas=/no/ptxas 2>/dev/null | FileCheck %s --check-prefix=JSON
// RUN: sage-compile %s --chip=sm_89 --explain --ptxas=/no/ptxas 2>/dev/null | FileCheck %s --check-prefix=ADA
// RUN: sage-compile %s --chip=sm_120a --explain --ptxas=/no/ptxas -o %t.txt 2>/dev/null && FileCheck %s --check-prefix=FILE < %t.txt

// CHECK: note: '/no/ptxas' is not a program
// CHECK: @attention, main loop without masks, on H100 SXM: 132 multiprocessors at 1755 MHz
// CHECK: one iteration of a unit: 8192 elements of S, {{[0-9]+}} instructions of each of 4 warps
// Both products, and the eight columns of row sums.
// CHECK: tensor {{ *}}264.00 multiply-adds 0.0645
// One exponential a score, and one a row.
// CHECK: special {{ *}}1.03 operations 0.0645
// CHECK: fma
// CHECK: alu
// CHECK: convert {{ *}}1.5{{.}} operations
// CHECK: shared memory
// CHECK: issue slots
// CHECK: registers: not known without ptxas, 160 of consumers
// CHECK: occupancy: 1 blocks of 512 threads on a multiprocessor, 3 units that compute
// CHECK: predicted, everything overlapped: 1{{[0-9]+}} TFLOP/s, bound by
// CHECK: predicted, units that wait for one another: {{[0-9]+}} TFLOP/s
// JSON: "bound_by":
// JSON: "elements": 8192
// JSON: "registers": null
// ADA: on L40S: 142 multiprocessors at 2520 MHz
// ADA: 1024 elements of S, {{[0-9]+}} instructions of each of 1 warps
// FILE: on GeForce RTX 5090
func.func @attend(%q: tensor<?x?x?x128xf16>, %k: tensor<?x?x?x128xf16>, %v: tensor<?x?x?x128xf16>, %o: tensor<?x?x?x128xf16>)
    -> tensor<?x?x?x128xf16> {
  %0 = sage.attention ins(%q, %k, %v : tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>)
         outs(%o : tensor<?x?x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<?x?x?x128xf16>
  return %0 : tensor<?x?x?x128xf16>
}
