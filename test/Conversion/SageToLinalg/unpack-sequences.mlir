// RUN: sage-opt %s -sage-unpack-sequences -canonicalize | FileCheck %s
// RUN: sage-opt %s -sage-unpack-sequences -sage-decompose -o /dev/null

// Batch entries with key lengths: token-major, the length is bounded by the tensor.
// CHECK-LABEL: func @lengths
// CHECK-SAME: (%[[Q:.+]]: tensor<3x100x2x64xf16>, %[[K:.+]]: tensor<3x?x1x64xf16>, %[[L:.+]]: tensor<3xi32>, %[[BIAS:.+]]: tensor<3x1x100x?xf16>)
// CHECK: scf.for %[[B:.+]] = %c0 to %c3 step %c1 iter_args(%[[O:.+]] = {{.+}})
// CHECK: %[[RAW:.+]] = tensor.extract %[[L]][%[[B]]] : tensor<3xi32>
// CHECK: %[[WIDE:.+]] = arith.index_cast %[[RAW]] : i32 to index
// CHECK: %[[LOW:.+]] = arith.maxsi %[[WIDE]], %c0 : index
// CHECK: %[[LENGTH:.+]] = arith.minsi %[[LOW]], %{{.+}} : index
// CHECK-DAG: %[[INIT:.+]] = tensor.extract_slice %[[O]][%[[B]], 0, 0, 0]
// CHECK-DAG: %[[QS:.+]] = tensor.extract_slice %{{.+}}[%[[B]], 0, 0, 0] [1, 100, 2, 64]
// CHECK-DAG: tensor.extract_slice %[[K]][%[[B]], 0, 0, 0] [1, %[[LENGTH]], 1, 64] [1, 1, 1, 1] : tensor<3x?x1x64xf16> to tensor<1x?x1x64xf16>
// CHECK: sage.attention ins({{.+}}) bias(%{{.+}}) outs(%{{.+}})
// CHECK-SAME: layout = #sage.layout<token_major>, mask = #sage.mask<causal_bottom_right>, recipe = #sage.recipe<"sage2-8b">, sink_tokens = 4 : i64, softcap = 3.000000e+01 : f32, window_left = 9 : i64
// CHECK: tensor.insert_slice
// CHECK: scf.yield
func.func @lengths(%q: tensor<3x100x2x64xf16>, %k: tensor<3x?x1x64xf16>, %l: tensor<3xi32>, %bias: tensor<3x1x100x?xf16>) -> tensor<3x100x2x64xf16> {
  %o = sage.attention ins(%q, %k, %k : tensor<3x100x2x64xf16>, tensor<3x?x1x64xf16>, tensor<3x?x1x64xf16>)
      bias(%bias : tensor<3x1x100x?xf16>) key_lengths(%l : tensor<3xi32>) outs(%q : tensor<3x100x2x64xf16>)
      {recipe = #sage.recipe<"sage2-8b">, layout = #sage.layout<token_major>, mask = #sage.mask<causal_bottom_right>,
       window_left = 9, sink_tokens = 4, softcap = 30.0 : f32} -> tensor<3x100x2x64xf16>
  return %o : tensor<3x100x2x64xf16>
}

// Sequences: as many as the offsets say, each with the log-sum-exp of its own rows. A bias extent of 1 is not cut.
// CHECK-LABEL: func @sequences
// CHECK-SAME: %[[QO:[^:]+]]: tensor<?xi32>, %[[KO:[^:]+]]: tensor<?xi32>, %[[BIAS:[^:]+]]: tensor<1x2x1x90xi1>
// CHECK: %[[SIZE:.+]] = tensor.dim %[[QO]], %c0
// CHECK: %[[COUNT:.+]] = arith.subi %[[SIZE]], %c1
// CHECK: scf.for %[[S:.+]] = %c0 to %[[COUNT]] step %c1 iter_args(%[[O:.+]] = {{.+}}, %[[LSE:.+]] = {{.+}})
// CHECK: tensor.extract %[[QO]][%[[S]]]
// CHECK: tensor.extract %[[QO]]
// CHECK: %[[QUERIES:.+]] = arith.subi
// CHECK: tensor.extract %[[KO]][%[[S]]]
// CHECK: %[[KEYS:.+]] = arith.subi
// CHECK: tensor.extract_slice %[[BIAS]][0, 0, 0, %{{.+}}] [1, 2, 1, %[[KEYS]]]
// CHECK: sage.attention {{.*}} sinks(%{{.+}} : tensor<2xf32>) outs(
// CHECK-NOT: offsets
// CHECK: scf.yield
func.func @sequences(%q: tensor<1x2x80x64xf16>, %k: tensor<1x2x90x64xf16>, %qo: tensor<?xi32>, %ko: tensor<?xi32>,
                     %bias: tensor<1x2x1x90xi1>, %s: tensor<2xf32>, %lse: tensor<1x2x80xf32>) -> (tensor<1x2x80x64xf16>, tensor<1x2x80xf32>) {
  %o:2 = sage.attention ins(%q, %k, %k : tensor<1x2x80x64xf16>, tensor<1x2x90x64xf16>, tensor<1x2x90x64xf16>)
      bias(%bias : tensor<1x2x1x90xi1>) sinks(%s : tensor<2xf32>) query_offsets(%qo : tensor<?xi32>) key_offsets(%ko : tensor<?xi32>)
      outs(%q, %lse : tensor<1x2x80x64xf16>, tensor<1x2x80xf32>)
      {recipe = #sage.recipe<"sage2-4b">} -> tensor<1x2x80x64xf16>, tensor<1x2x80xf32>
  return %o#0, %o#1 : tensor<1x2x80x64xf16>, tensor<1x2x80xf32>
}

// An attention without lengths stays.
// CHECK-LABEL: func @dense
// CHECK-NOT: scf.for
// CHECK: sage.attention
func.func @dense(%q: tensor<1x2x80x64xf16>) -> tensor<1x2x80x64xf16> {
  %o = sage.attention ins(%q, %q, %q : tensor<1x2x80x64xf16>, tensor<1x2x80x64xf16>, tensor<1x2x80x64xf16>)
      outs(%q : tensor<1x2x80x64xf16>) {recipe = #sage.recipe<"f16">} -> tensor<1x2x80x64xf16>
  return %o : tensor<1x2x80x64xf16>
}
