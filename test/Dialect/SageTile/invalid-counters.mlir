// RUN: sage-opt %s --split-input-file --verify-diagnostics

func.func @f(%counters: memref<?xi64>, %i: index) {
  // expected-error@+1 {{counters must be a memref of rank 1 of i32, but got 'memref<?xi64>'}}
  %n = sage_tile.count %counters[%i] : memref<?xi64>
  return
}

// -----

func.func @f(%counters: memref<?x?xi32>, %i: index) {
  // expected-error@+1 {{counters must be a memref of rank 1 of i32, but got 'memref<?x?xi32>'}}
  sage_tile.await %counters[%i] reaches %i : memref<?x?xi32>
  return
}

// -----

func.func @f(%counters: memref<?xi32>, %i: index) {
  // expected-error@+1 {{counters must be read by counting and waiting only}}
  %n = sage_tile.count %counters[%i] : memref<?xi32>
  // expected-note@+1 {{read here}}
  %x = sage_tile.read %counters[%i] : memref<?xi32> to i32
  return
}

// -----

func.func @f() {
  // expected-error@+1 {{expects parent op 'sage_tile.kernel'}}
  sage_tile.grid_wait
  return
}

// -----

gpu.module @kernels {
  // expected-note@+1 {{the kernel is here}}
  sage_tile.kernel @k() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
    sage_tile.return
  }
}
sage_tile.program @p {} {
  // expected-error@+1 {{kernel of a launch that overlaps must have a sage_tile.grid_wait}}
  sage_tile.launch @kernels::@k grid affine_map<() -> (8)> args [] overlaps
}

// -----

sage_tile.kernel @k(%counters: memref<?xi64>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{counters must be a memref of rank 1 of i32, but got 'memref<?xi64>'}}
  sage_tile.tickets %counters[%c0] ids %c0 : memref<?xi64>
  sage_tile.return
}

// -----

sage_tile.kernel @k() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %numbers = sage_tile.alloc : !sage_tile.shared<4xi32>
  // expected-error@+1 {{must be in a producer's region}}
  sage_tile.put %c0 in %numbers[%c0] : !sage_tile.shared<4xi32>
  sage_tile.return
}

// -----

sage_tile.kernel @k() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %numbers = sage_tile.alloc : !sage_tile.shared<4xf32>
  sage_tile.specialize producer registers(0) {
    // expected-error@+1 {{numbers must be a vector of i32, but got '!sage_tile.shared<4xf32>'}}
    sage_tile.put %c0 in %numbers[%c0] : !sage_tile.shared<4xf32>
  } consumer registers(0) {
  }
  sage_tile.return
}

// -----

sage_tile.kernel @k() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %numbers = sage_tile.alloc : !sage_tile.shared<4xi32>
  sage_tile.specialize producer registers(0) {
    // expected-error@+1 {{must be in the consumers' region}}
    %n = sage_tile.get %numbers[%c0] : !sage_tile.shared<4xi32>
  } consumer registers(0) {
  }
  sage_tile.return
}
