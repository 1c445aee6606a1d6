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
