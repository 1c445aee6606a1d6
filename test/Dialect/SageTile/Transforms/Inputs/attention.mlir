// Attention of one head as a sequential program: two warpgroups of 64 query rows, key tiles of 128, INT8 scores, e4m3
// values, row sums by a block of ones below V, keys past the last one masked, log-sum-exp with a correction per row.

#acc136 = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 17:(0, 8)]>
#acc128 = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 16:(0, 8)]>
#acc8 = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#operand = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16), 4:(0, 32)]>
#row = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 0), 8:(1, 0)], reg = [2:(8, 0)]>
#grouped = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 1), 8:(1, 0)], reg = [2:(8, 0)]>
#quad = #sage_tile.layout<warp = [4:(0, 0)], lane = [4:(0, 1), 8:(0, 0)], reg = []>
#column = #sage_tile.layout<warp = [4:(0, 0)], lane = [4:(0, 2), 8:(0, 0)], reg = [2:(0, 1), 16:(0, 8)]>

#identity = affine_map<(r, c) -> (r, c)>
#toRow = affine_map<(r, c) -> (r, 0)>
#toColumn = affine_map<(r, c) -> (0, c)>
#toGroup = affine_map<(r, c) -> (r, (c mod 8) floordiv 2)>
#order = affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)>

!query = !sage_tile.shared<128x128xi8, swizzle = 128>
!key = !sage_tile.shared<128x128xi8, swizzle = 128>
!value = !sage_tile.shared<128x128xf8E4M3FN, swizzle = 128>
!value_ones = !sage_tile.shared<136x128xf8E4M3FN, swizzle = 128>
!ones = !sage_tile.shared<8x128xf8E4M3FN, swizzle = 128>
!key_scales = !sage_tile.shared<4xf32>
!map = !sage_tile.tensor_map<128x128xi8, swizzle = 128>
!value_map = !sage_tile.tensor_map<128x128xf8E4M3FN, swizzle = 128>

!scores_i = !sage_tile.fragment<64x128xi32, #acc128>
!scores = !sage_tile.fragment<64x128xf32, #acc128>
!packed = !sage_tile.fragment<64x128xf8E4M3FN, #operand>
!output = !sage_tile.fragment<64x136xf32, #acc136>
!row = !sage_tile.fragment<64x1xf32, #row>
!grouped = !sage_tile.fragment<64x4xf32, #grouped>

gpu.module @kernels {
sage_tile.kernel @attention(%q: !map, %k: !map, %v: !value_map, %qs: memref<?xf32>, %ks: memref<?xf32>,
    %vs: memref<?xf32>, %o: memref<?x128xf16>, %lse: memref<?xf32>, %correction: memref<?xf32>, %nq32: i32, %nk32: i32,
    %scaleLog2e: f32) attributes {unit = #sage_tile.unit<warpgroup>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c8 = arith.constant 8 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %c127 = arith.constant 127 : index
  %c128 = arith.constant 128 : index
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %zero_i = arith.constant 0 : i32
  %minus_infinity = arith.constant 0xFF800000 : f32
  %log2_448 = arith.constant 8.80735492 : f32
  %ln2 = arith.constant 0.693147182 : f32

  // Which rows the block computes, how many key tiles there are, and how many of them have keys past the end.
  %nq = arith.index_cast %nq32 : i32 to index
  %nk = arith.index_cast %nk32 : i32 to index
  %block = sage_tile.block_id
  %block_row = arith.muli %block, %c128 : index
  %rounded = arith.addi %nk, %c127 : index
  %tiles = arith.divui %rounded, %c128 : index
  %whole = arith.divui %nk, %c128 : index
  %masked_tiles = arith.subi %tiles, %whole : index

  %query_tile = sage_tile.alloc : !query
  %key_tile = sage_tile.alloc : !key
  %key_scales = sage_tile.alloc : !key_scales
  %value_tile = sage_tile.alloc : !value_ones
  %ones = sage_tile.subtile %value_tile[%c128] : !value_ones to !ones
  sage_tile.fill %ones with 1.0 : f8E4M3FN : !ones
  sage_tile.copy %q[%block_row, %c0] to %query_tile : !map to !query

  %unit = sage_tile.unit_id
  %unit_offset = arith.muli %unit, %c64 : index
  %first_row = arith.addi %block_row, %unit_offset : index
  %query = sage_tile.subtile %query_tile[%unit_offset] : !query to !sage_tile.shared<64x128xi8, swizzle = 128>
  %scale_row = arith.muli %first_row, %c8 : index
  %first_scale = arith.divui %scale_row, %c16 : index
  %query_scales = sage_tile.load %qs[%first_scale] map affine_map<(r, c) -> ((r floordiv 16) * 8 + r mod 8)> : memref<?xf32> to !row
  %query_multiplier = sage_tile.map ins(%query_scales : !row) to !row {
  ^bb0(%s: f32):
    %0 = arith.mulf %s, %scaleLog2e : f32
    sage_tile.yield %0 : f32
  }
  %output0 = sage_tile.splat %zero : f32 to !output
  %maximum0 = sage_tile.splat %minus_infinity : f32 to !row

  %result:2 = scf.for %i = %c0 to %tiles step %c1 iter_args(%output = %output0, %maximum = %maximum0) -> (!output, !row) {
    // From the last tile to the first: the masked ones come first.
    %last = arith.subi %tiles, %c1 : index
    %tile = arith.subi %last, %i : index
    %first_key = arith.muli %tile, %c128 : index
    sage_tile.copy %k[%first_key, %c0] to %key_tile : !map to !key
    %first_key_scale = arith.muli %tile, %c4 : index
    sage_tile.copy %ks[%first_key_scale] to %key_scales : memref<?xf32> to !key_scales
    %kscale = sage_tile.load %key_scales[%c0] : !key_scales to !sage_tile.fragment<1x4xf32, #quad>
    %multiplier = sage_tile.map ins(%query_multiplier, %kscale : !row, !sage_tile.fragment<1x4xf32, #quad>) maps [#toRow, #toColumn] to !grouped {
    ^bb0(%a: f32, %b: f32):
      %0 = arith.mulf %a, %b : f32
      sage_tile.yield %0 : f32
    }

    %fresh = sage_tile.splat %zero_i : i32 to !scores_i
    %products = sage_tile.mma %query, %key_tile, %fresh : !sage_tile.shared<64x128xi8, swizzle = 128>, !key to !scores_i
    %converted = sage_tile.map ins(%products : !scores_i) to !scores {
    ^bb0(%x: i32):
      %0 = arith.sitofp %x : i32 to f32
      sage_tile.yield %0 : f32
    }
    %is_masked = arith.cmpi ult, %i, %masked_tiles : index
    %scores = scf.if %is_masked -> (!scores) {
      %keys_left = arith.subi %nk, %first_key : index
      %keys_left32 = arith.index_cast %keys_left : index to i32
      %limit = sage_tile.splat %keys_left32 : i32 to !sage_tile.fragment<64x1xi32, #row>
      %visible = sage_tile.map positions ins(%converted, %limit : !scores, !sage_tile.fragment<64x1xi32, #row>) maps [#identity, #toRow] to !scores {
      ^bb0(%r: i32, %c: i32, %x: f32, %end: i32):
        %0 = arith.cmpi slt, %c, %end : i32
        %1 = arith.select %0, %x, %minus_infinity : f32
        sage_tile.yield %1 : f32
      }
      scf.yield %visible : !scores
    } else {
      scf.yield %converted : !scores
    }

    // Online softmax.
    %group_maximum = sage_tile.reduce <maximumf> %scores map #toGroup : !scores to !grouped
    %scaled = sage_tile.map ins(%group_maximum, %multiplier : !grouped, !grouped) to !grouped {
    ^bb0(%x: f32, %a: f32):
      %0 = arith.mulf %x, %a : f32
      sage_tile.yield %0 : f32
    }
    %tile_maximum = sage_tile.reduce <maximumf> %scaled : !grouped to !row
    %new_maximum = sage_tile.map ins(%maximum, %tile_maximum : !row, !row) to !row {
    ^bb0(%x: f32, %y: f32):
      %0 = arith.maximumf %x, %y : f32
      sage_tile.yield %0 : f32
    }
    %subtrahend = sage_tile.map ins(%new_maximum : !row) to !row {
    ^bb0(%x: f32):
      %0 = arith.cmpf oeq, %x, %minus_infinity : f32
      %1 = arith.select %0, %zero, %x : f32
      sage_tile.yield %1 : f32
    }
    %alpha = sage_tile.map ins(%maximum, %subtrahend : !row, !row) to !row {
    ^bb0(%x: f32, %y: f32):
      %0 = arith.subf %x, %y : f32
      %1 = math.exp2 %0 : f32
      sage_tile.yield %1 : f32
    }
    %offset = sage_tile.map ins(%subtrahend : !row) to !row {
    ^bb0(%x: f32):
      %0 = arith.subf %log2_448, %x : f32
      sage_tile.yield %0 : f32
    }
    %probabilities = sage_tile.map ins(%scores, %multiplier, %offset : !scores, !grouped, !row) maps [#identity, #toGroup, #toRow] to !scores {
    ^bb0(%x: f32, %a: f32, %b: f32):
      %0 = math.fma %x, %a, %b : f32
      %1 = math.exp2 %0 : f32
      sage_tile.yield %1 : f32
    }
    %packed = sage_tile.convert %probabilities order #order : !scores to !packed

    %value_target = sage_tile.subtile %value_tile[%c0] : !value_ones to !value
    sage_tile.copy %v[%c0, %first_key] to %value_target : !value_map to !value
    %rescaled = sage_tile.map ins(%output, %alpha : !output, !row) maps [#identity, #toRow] to !output {
    ^bb0(%x: f32, %a: f32):
      %0 = arith.mulf %x, %a : f32
      sage_tile.yield %0 : f32
    }
    %new_output = sage_tile.mma %packed, %value_tile, %rescaled : !packed, !value_ones to !output
    scf.yield %new_output, %new_maximum : !output, !row
  }

  // Normalization, scales of V, log-sum-exp.
  %sums = sage_tile.slice %result#0[128] : !output to !sage_tile.fragment<64x8xf32, #acc8>
  %sum = sage_tile.reduce <maximumf> %sums : !sage_tile.fragment<64x8xf32, #acc8> to !row
  %channels = sage_tile.slice %result#0[0] : !output to !scores
  %value_scales = sage_tile.load %vs[%c0] map affine_map<(r, c) -> (c)> : memref<?xf32> to !sage_tile.fragment<1x128xf32, #column>
  %normalized = sage_tile.map ins(%channels, %sum, %value_scales : !scores, !row, !sage_tile.fragment<1x128xf32, #column>) to !scores {
  ^bb0(%x: f32, %l: f32, %s: f32):
    %0 = arith.divf %one, %l : f32
    %1 = arith.mulf %x, %0 : f32
    %2 = arith.mulf %1, %s : f32
    sage_tile.yield %2 : f32
  }
  %half = sage_tile.convert %normalized : !scores to !sage_tile.fragment<64x128xf16, #acc128>
  sage_tile.store %half, %o[%first_row, %c0] limit(%nq) : !sage_tile.fragment<64x128xf16, #acc128> to memref<?x128xf16>
  %log_sum = sage_tile.map ins(%result#1, %sum : !row, !row) to !row {
  ^bb0(%m: f32, %l: f32):
    %0 = math.log2 %l : f32
    %1 = arith.subf %0, %log2_448 : f32
    %2 = arith.addf %m, %1 : f32
    %3 = arith.mulf %2, %ln2 : f32
    sage_tile.yield %3 : f32
  }
  %row_correction = sage_tile.load %correction[%first_row] map affine_map<(r, c) -> (r)> : memref<?xf32> to !row
  %corrected = sage_tile.map ins(%log_sum, %row_correction : !row, !row) to !row {
  ^bb0(%x: f32, %y: f32):
    %0 = arith.addf %x, %y : f32
    sage_tile.yield %0 : f32
  }
  sage_tile.store %corrected, %lse[%first_row] limit(%nq) map affine_map<(r, c) -> (r)> : !row to memref<?xf32>
  sage_tile.return
}
}
