// Forms that torch-mlir does not write: linalg.softmax, generic contractions, fused bodies.
// RUN: sage-opt %s --sage-raise-attention=recipe=sage1 --split-input-file | FileCheck %s
// RUN: sage-opt %s --sage-raise-attention="element-type=bf16 strict" --split-input-file -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=STRICT --implicit-check-not=remark:

// Queries that all batch entries share, dynamic lengths, linalg.softmax, token-major contractions.
// CHECK-LABEL: @softmax
// CHECK-SAME: %[[Q:.*]]: tensor<?x4x64xf16>, %[[K:.*]]: tensor<2x?x4x64xf16>, %[[V:.*]]: tensor<2x?x4x32xf16>
// CHECK-NOT: linalg.softmax
// CHECK: %[[REPEATED:.*]] = linalg.broadcast ins(%[[Q]]
// CHECK: sage.attention ins(%[[REPEATED]], %[[K]], %[[V]] : tensor<2x?x4x64xf16>, tensor<2x?x4x64xf16>, tensor<2x?x4x32xf16>)
// CHECK-SAME: {layout = #sage.layout<token_major>, recipe = #sage.recipe<"sage1">}
#q = affine_map<(b, h, i, j, d) -> (i, h, d)>
#k = affine_map<(b, h, i, j, d) -> (b, j, h, d)>
#s = affine_map<(b, h, i, j, d) -> (b, h, i, j)>
#p = affine_map<(b, i, h, d, j) -> (b, h, i, j)>
#v = affine_map<(b, i, h, d, j) -> (b, j, h, d)>
#o = affine_map<(b, i, h, d, j) -> (b, i, h, d)>
#id = affine_map<(b, h, i, j) -> (b, h, i, j)>
func.func @softmax(%q: tensor<?x4x64xf16>, %k: tensor<2x?x4x64xf16>, %v: tensor<2x?x4x32xf16>) -> tensor<2x?x4x32xf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %eight = arith.constant 8.0 : f32
  %n = tensor.dim %q, %c0 : tensor<?x4x64xf16>
  %m = tensor.dim %k, %c1 : tensor<2x?x4x64xf16>
  %s0 = tensor.empty(%n, %m) : tensor<2x4x?x?xf32>
  %s1 = linalg.fill ins(%zero : f32) outs(%s0 : tensor<2x4x?x?xf32>) -> tensor<2x4x?x?xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<?x4x64xf16>, tensor<2x?x4x64xf16>) outs(%s1 : tensor<2x4x?x?xf32>) {
  ^bb0(%x: f16, %y: f16, %sum: f32):
    %a = arith.extf %x : f16 to f32
    %b = arith.extf %y : f16 to f32
    %scaled = arith.divf %a, %eight : f32
    %product = arith.mulf %scaled, %b : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  } -> tensor<2x4x?x?xf32>
  %p = linalg.softmax dimension(3) ins(%s : tensor<2x4x?x?xf32>) outs(%s0 : tensor<2x4x?x?xf32>) -> tensor<2x4x?x?xf32>
  %o0 = tensor.empty(%n) : tensor<2x?x4x32xf32>
  %o1 = linalg.fill ins(%zero : f32) outs(%o0 : tensor<2x?x4x32xf32>) -> tensor<2x?x4x32xf32>
  %o = linalg.generic {indexing_maps = [#p, #v, #o], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%p, %v : tensor<2x4x?x?xf32>, tensor<2x?x4x32xf16>) outs(%o1 : tensor<2x?x4x32xf32>) {
  ^bb0(%x: f32, %y: f16, %sum: f32):
    %b = arith.extf %y : f16 to f32
    %product = arith.mulf %x, %b : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  } -> tensor<2x?x4x32xf32>
  %h0 = tensor.empty(%n) : tensor<2x?x4x32xf16>
  %h = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%o : tensor<2x?x4x32xf32>) outs(%h0 : tensor<2x?x4x32xf16>) {
  ^bb0(%x: f32, %old: f16):
    %y = arith.truncf %x : f32 to f16
    linalg.yield %y : f16
  } -> tensor<2x?x4x32xf16>
  return %h : tensor<2x?x4x32xf16>
}

// -----

// One body scales, adds a bias for each head and key that it computes itself, hides keys to come, and hides those that an
// operand says; exp2 with log2 e in the scale, no maximum, and a division after the product with the values.
// CHECK-LABEL: @fused
// CHECK-SAME: %[[Q:.*]]: tensor<4x16x64xbf16>, %[[K:.*]]: tensor<4x16x64xbf16>, %[[V:.*]]: tensor<4x16x64xbf16>, %[[SLOPES:.*]]: tensor<4xf32>, %[[PADDING:.*]]: tensor<16xi1>
// The bias: 4 heads, 1 query, 16 keys; of 1.4427 in it, ln 2 leaves 1.
// CHECK: linalg.generic {{.*}} ins(%[[SLOPES]] : tensor<4xf32>) outs(%{{.*}} : tensor<4x16xf32>)
// CHECK: sage.attention
// CHECK-SAME: bias(%{{.*}} : tensor<1x4x1x16xf32>)
// CHECK-SAME: {mask = #sage.mask<causal_top_left>, recipe = #sage.recipe<"sage1">}
// What an operand hides may be all.
// STRICT: remark: attention was not raised: every query must see a key, which cannot be shown for an operand
#id = affine_map<(h, i, j) -> (h, i, j)>
#head = affine_map<(h, i, j) -> (h)>
#key = affine_map<(h, i, j) -> (j)>
#row = affine_map<(h, i, j) -> (h, i)>
func.func @fused(%q: tensor<4x16x64xbf16>, %k: tensor<4x16x64xbf16>, %v: tensor<4x16x64xbf16>, %slopes: tensor<4xf32>,
                 %padding: tensor<16xi1>) -> tensor<4x16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %scale = arith.constant 0.18033688 : f32
  %log2e = arith.constant 1.44269504 : f32
  %hidden = arith.constant 0xFF800000 : f32
  %s0 = tensor.empty() : tensor<4x16x16xf32>
  %s1 = linalg.fill ins(%zero : f32) outs(%s0 : tensor<4x16x16xf32>) -> tensor<4x16x16xf32>
  %t0 = tensor.empty() : tensor<4x64x16xbf16>
  %t = linalg.transpose ins(%k : tensor<4x16x64xbf16>) outs(%t0 : tensor<4x64x16xbf16>) permutation = [0, 2, 1]
  %s = linalg.batch_matmul ins(%q, %t : tensor<4x16x64xbf16>, tensor<4x64x16xbf16>) outs(%s1 : tensor<4x16x16xf32>) -> tensor<4x16x16xf32>
  %e = linalg.generic {indexing_maps = [#id, #head, #key, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %slopes, %padding : tensor<4x16x16xf32>, tensor<4xf32>, tensor<16xi1>) outs(%s0 : tensor<4x16x16xf32>) {
  ^bb0(%x: f32, %slope: f32, %keep: i1, %old: f32):
    %i = linalg.index 1 : index
    %j = linalg.index 2 : index
    %jj = arith.index_cast %j : index to i32
    %jf = arith.sitofp %jj : i32 to f32
    %y = arith.mulf %x, %scale : f32
    %bias = arith.mulf %slope, %jf : f32
    %bias2 = arith.mulf %bias, %log2e : f32
    %biased = arith.addf %y, %bias2 : f32
    %past = arith.cmpi sge, %i, %j : index
    %both = arith.andi %past, %keep : i1
    %visible = arith.select %both, %biased, %hidden : f32
    %z = math.exp2 %visible : f32
    linalg.yield %z : f32
  } -> tensor<4x16x16xf32>
  %l0 = tensor.empty() : tensor<4x16xf32>
  %l1 = linalg.fill ins(%zero : f32) outs(%l0 : tensor<4x16xf32>) -> tensor<4x16xf32>
  %l = linalg.reduce ins(%e : tensor<4x16x16xf32>) outs(%l1 : tensor<4x16xf32>) dimensions = [2]
    (%x: f32, %sum: f32) {
      %next = arith.addf %x, %sum : f32
      linalg.yield %next : f32
    }
  %o0 = tensor.empty() : tensor<4x16x64xf32>
  %o1 = linalg.fill ins(%zero : f32) outs(%o0 : tensor<4x16x64xf32>) -> tensor<4x16x64xf32>
  %o = linalg.batch_matmul ins(%e, %v : tensor<4x16x16xf32>, tensor<4x16x64xbf16>) outs(%o1 : tensor<4x16x64xf32>) -> tensor<4x16x64xf32>
  %d = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%o, %l : tensor<4x16x64xf32>, tensor<4x16xf32>) outs(%o0 : tensor<4x16x64xf32>) {
  ^bb0(%x: f32, %sum: f32, %old: f32):
    %y = arith.divf %x, %sum : f32
    linalg.yield %y : f32
  } -> tensor<4x16x64xf32>
  return %d : tensor<4x16x64xf32>
}

// -----

// Keys that are there twice are two keys each.
// CHECK-LABEL: @repeated_keys
// CHECK: sage.attention ins({{.*}} : tensor<1x2x8x16xf16>, tensor<1x2x4x16xf16>, tensor<1x2x4x16xf16>)
// CHECK-SAME: scale = 1.0{{0*}}e+00
func.func @repeated_keys(%q: tensor<2x8x16xf32>, %k: tensor<2x16x2xf32>, %v: tensor<2x4x16xf32>) -> tensor<2x8x16xf32> {
  %zero = arith.constant 0.0 : f32
  %k0 = tensor.empty() : tensor<2x16x2x2xf32>
  %twice = linalg.broadcast ins(%k : tensor<2x16x2xf32>) outs(%k0 : tensor<2x16x2x2xf32>) dimensions = [2]
  %keys = tensor.collapse_shape %twice [[0], [1], [2, 3]] : tensor<2x16x2x2xf32> into tensor<2x16x4xf32>
  %s0 = tensor.empty() : tensor<2x8x4xf32>
  %s1 = linalg.fill ins(%zero : f32) outs(%s0 : tensor<2x8x4xf32>) -> tensor<2x8x4xf32>
  %s = linalg.batch_matmul ins(%q, %keys : tensor<2x8x16xf32>, tensor<2x16x4xf32>) outs(%s1 : tensor<2x8x4xf32>) -> tensor<2x8x4xf32>
  %p = linalg.softmax dimension(2) ins(%s : tensor<2x8x4xf32>) outs(%s0 : tensor<2x8x4xf32>) -> tensor<2x8x4xf32>
  %o0 = tensor.empty() : tensor<2x8x16xf32>
  %o1 = linalg.fill ins(%zero : f32) outs(%o0 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
  %o = linalg.batch_matmul ins(%p, %v : tensor<2x8x4xf32>, tensor<2x4x16xf32>) outs(%o1 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
  return %o : tensor<2x8x16xf32>
}
