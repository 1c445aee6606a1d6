// RUN: sed 's/STAGES/1/g' %s | sage-interpret - --print-buffer=out:f32 | FileCheck %s
// RUN: sed 's/STAGES/2/g' %s | sage-interpret - --print-buffer=out:f32 --schedule-seed=1 | FileCheck %s
// RUN: sed 's/STAGES/3/g' %s | sage-interpret - --print-buffer=out:f32 --schedule-seed=2 | FileCheck %s
// RUN: sed 's/STAGES/2/g; /consumer waits/d' %s | not sage-interpret - 2>&1 | FileCheck %s --check-prefix=FULL
// RUN: sed 's/STAGES/2/g; /producer waits/d' %s | not sage-interpret - 2>&1 | FileCheck %s --check-prefix=EMPTY
// RUN: sed 's/STAGES/2/g; /consumer arrives/d' %s | not sage-interpret - 2>&1 | FileCheck %s --check-prefix=DEADLOCK
// RUN: sed 's/STAGES/2/g; s/arrivals(2)/arrivals(1)/' %s | not sage-interpret - 2>&1 | FileCheck %s --check-prefix=COUNT
// RUN: sed 's/STAGES/2/g; s/bytes(128)/bytes(64)/' %s | not sage-interpret - 2>&1 | FileCheck %s --check-prefix=BYTES
// REQUIRES: sage-interpret

// A producer copies 7 vectors of 32 numbers through a ring of tiles; both consumers add them up.

#lanes = #sage_tile.layout<lane = [32:(0, 1)], reg = []>
!vector = !sage_tile.fragment<1x32xf32, #lanes>

sage_tile.program @p {} {
  sage_tile.workspace "in" bytes affine_map<() -> (896)>
  sage_tile.workspace "out" bytes affine_map<() -> (256)>
  sage_tile.launch @write grid affine_map<() -> (7)> args [#sage_tile.pointer<"in">]
  sage_tile.launch @sum grid affine_map<() -> (1)> args [#sage_tile.pointer<"in">, #sage_tile.pointer<"out">]
}

// Row i holds i * 100 + c.
sage_tile.kernel @write(%in: memref<7x32xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %block = sage_tile.block_id
  %row = arith.index_cast %block : index to i32
  %x = sage_tile.map positions to !vector {
  ^bb0(%r: i32, %c: i32):
    %hundred = arith.constant 100 : i32
    %0 = arith.muli %row, %hundred : i32
    %1 = arith.addi %0, %c : i32
    %2 = arith.sitofp %1 : i32 to f32
    sage_tile.yield %2 : f32
  }
  sage_tile.store %x, %in[%block, %c0] : !vector to memref<7x32xf32>
  sage_tile.return
}

// CHECK: out = [2100, 2107, 2114,
// CHECK-SAME: 2317, 2100, 2107, 2114
// FULL: error: 'sage_tile.load' op reads shared memory that was never written
// EMPTY: error: {{.*}}arrivals of a phase must be at most 1, but got one more by the producer
// DEADLOCK: error: 'sage_tile.barrier_wait' op deadlock: no unit can continue
// DEADLOCK: note: unit 0 waits for parity 1 of slot 0: phase 1 lacks 1 of 1 arrivals and 0 bytes
// DEADLOCK: note: the producer waits for parity 0 of slot 0: phase 0 lacks 2 of 2 arrivals and 0 bytes
// COUNT: error: {{.*(race: the producer writes a tile|whose copy may still be in flight)}}
// BYTES: error: 'sage_tile.copy_async' op copies must move the bytes announced for the phase, but moved 64 more
sage_tile.kernel @sum(%in: memref<7x32xf32>, %out: memref<2x32xf32>) attributes {unit = #sage_tile.unit<warp>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c7 = arith.constant 7 : index
  %stages = arith.constant STAGES : index
  %ring = sage_tile.alloc : !sage_tile.shared<STAGESx1x32xf32>
  %full = sage_tile.barrier_alloc arrivals(1) : !sage_tile.barrier<STAGES>
  %empty = sage_tile.barrier_alloc arrivals(2) : !sage_tile.barrier<STAGES>
  sage_tile.specialize producer registers(0) {
    scf.for %i = %c0 to %c7 step %c1 {
      %slot = arith.remui %i, %stages : index
      %round = arith.divui %i, %stages : index
      %odd = arith.remui %round, %c2 : index
      %parity = arith.subi %c1, %odd : index
      %tile = sage_tile.stage %ring[%slot] : !sage_tile.shared<STAGESx1x32xf32> to !sage_tile.shared<1x32xf32>
      sage_tile.barrier_wait %empty[%slot] parity(%parity) : !sage_tile.barrier<STAGES> // producer waits
      sage_tile.barrier_expect %full[%slot] bytes(128) : !sage_tile.barrier<STAGES>
      sage_tile.copy_async %in[%i, %c0] to %tile arrive %full[%slot]
        : memref<7x32xf32> to !sage_tile.shared<1x32xf32>, !sage_tile.barrier<STAGES>
    }
  } consumer registers(0) {
    %unit = sage_tile.unit_id
    %f0 = arith.constant 0.0 : f32
    %zero = sage_tile.splat %f0 : f32 to !vector
    %sum = scf.for %i = %c0 to %c7 step %c1 iter_args(%before = %zero) -> !vector {
      %slot = arith.remui %i, %stages : index
      %round = arith.divui %i, %stages : index
      %parity = arith.remui %round, %c2 : index
      %tile = sage_tile.stage %ring[%slot] : !sage_tile.shared<STAGESx1x32xf32> to !sage_tile.shared<1x32xf32>
      sage_tile.barrier_wait %full[%slot] parity(%parity) : !sage_tile.barrier<STAGES> // consumer waits
      %x = sage_tile.load %tile[%c0, %c0] : !sage_tile.shared<1x32xf32> to !vector
      sage_tile.barrier_arrive %empty[%slot] : !sage_tile.barrier<STAGES> // consumer arrives
      %after = sage_tile.map ins(%before, %x : !vector, !vector) to !vector {
      ^bb0(%a: f32, %b: f32):
        %0 = arith.addf %a, %b : f32
        sage_tile.yield %0 : f32
      }
      scf.yield %after : !vector
    }
    sage_tile.store %sum, %out[%unit, %c0] : !vector to memref<2x32xf32>
  }
  sage_tile.return
}
