// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_89 -sage-assign-schedule -sage-smooth -sage-quantize -canonicalize -convert-sage-to-sage-tile \
// RUN:   | sage-interpret - --shape=1,2,1,150,200 --check
// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_90a -sage-assign-schedule -sage-smooth -sage-quantize -canonicalize -convert-sage-to-sage-tile \
// RUN:   | sage-interpret - --shape=1,2,1,150,200 --check --inputs=outliers --schedule-seed=1
// REQUIRES: sage-interpret

// The sequential programs that the compiler writes, against the CPU reference, with tails and grouped heads.
func.func @attention(%q: tensor<?x?x?x128xf16>, %k: tensor<?x?x?x128xf16>, %v: tensor<?x?x?x128xf16>, %lse0: tensor<?x?x?xf32>)
    -> (tensor<?x?x?x128xf16>, tensor<?x?x?xf32>) {
  %o, %lse = sage.attention ins(%q, %k, %v : tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>)
      outs(%q, %lse0 : tensor<?x?x?x128xf16>, tensor<?x?x?xf32>)
      {recipe = #sage.recipe<"sage2-8b">, layout = #sage.layout<head_major>, mask = #sage.mask<none>}
      -> tensor<?x?x?x128xf16>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x128xf16>, tensor<?x?x?xf32>
}
