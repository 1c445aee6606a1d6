// Causal attention as a compiler without an attention op writes it: contractions, a mask made of indices, softmax.
#query = affine_map<(b, h, m, n, d) -> (b, h, m, d)>
#key = affine_map<(b, h, m, n, d) -> (b, h, n, d)>
#score = affine_map<(b, h, m, n, d) -> (b, h, m, n)>
#all = affine_map<(b, h, m, n) -> (b, h, m, n)>
#row = affine_map<(b, h, m, n) -> (b, h, m)>

func.func @attention(%query: tensor<1x4x96x64xf16>, %key: tensor<1x4x96x64xf16>, %value: tensor<1x4x96x64xf16>)
    -> tensor<1x4x96x64xf16> {
  %zero = arith.constant 0.0 : f32
  %lowest = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.125 : f32
  %scores = tensor.empty() : tensor<1x4x96x96xf32>
  %rows = tensor.empty() : tensor<1x4x96xf32>
  %outputs = tensor.empty() : tensor<1x4x96x64xf32>
  %halves = tensor.empty() : tensor<1x4x96x64xf16>

  %zeros = linalg.fill ins(%zero : f32) outs(%scores : tensor<1x4x96x96xf32>) -> tensor<1x4x96x96xf32>
  %product = linalg.generic {indexing_maps = [#query, #key, #score],
                             iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%query, %key : tensor<1x4x96x64xf16>, tensor<1x4x96x64xf16>) outs(%zeros : tensor<1x4x96x96xf32>) {
  ^bb0(%q: f16, %k: f16, %sum: f32):
    %a = arith.extf %q : f16 to f32
    %b = arith.extf %k : f16 to f32
    %c = arith.mulf %a, %b : f32
    %d = arith.addf %sum, %c : f32
    linalg.yield %d : f32
  } -> tensor<1x4x96x96xf32>
  %masked = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%product : tensor<1x4x96x96xf32>) outs(%scores : tensor<1x4x96x96xf32>) {
  ^bb0(%s: f32, %old: f32):
    %i = linalg.index 2 : index
    %j = linalg.index 3 : index
    %visible = arith.cmpi sle, %j, %i : index
    %a = arith.mulf %s, %scale : f32
    %b = arith.select %visible, %a, %lowest : f32
    linalg.yield %b : f32
  } -> tensor<1x4x96x96xf32>

  %lowests = linalg.fill ins(%lowest : f32) outs(%rows : tensor<1x4x96xf32>) -> tensor<1x4x96xf32>
  %maxima = linalg.reduce { arith.maximumf } ins(%masked : tensor<1x4x96x96xf32>) outs(%lowests : tensor<1x4x96xf32>)
      dimensions = [3]
  %weights = linalg.generic {indexing_maps = [#all, #row, #all],
                             iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%masked, %maxima : tensor<1x4x96x96xf32>, tensor<1x4x96xf32>) outs(%scores : tensor<1x4x96x96xf32>) {
  ^bb0(%s: f32, %m: f32, %old: f32):
    %a = arith.subf %s, %m : f32
    %b = math.exp %a : f32
    linalg.yield %b : f32
  } -> tensor<1x4x96x96xf32>
  %zeroRows = linalg.fill ins(%zero : f32) outs(%rows : tensor<1x4x96xf32>) -> tensor<1x4x96xf32>
  %sums = linalg.reduce { arith.addf } ins(%weights : tensor<1x4x96x96xf32>) outs(%zeroRows : tensor<1x4x96xf32>)
      dimensions = [3]
  %softmax = linalg.generic {indexing_maps = [#all, #row, #all],
                             iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%weights, %sums : tensor<1x4x96x96xf32>, tensor<1x4x96xf32>) outs(%scores : tensor<1x4x96x96xf32>) {
  ^bb0(%w: f32, %s: f32, %old: f32):
    %a = arith.divf %w, %s : f32
    linalg.yield %a : f32
  } -> tensor<1x4x96x96xf32>

  %zeroOutputs = linalg.fill ins(%zero : f32) outs(%outputs : tensor<1x4x96x64xf32>) -> tensor<1x4x96x64xf32>
  %output = linalg.generic {indexing_maps = [#score, #key, #query],
                            iterator_types = ["parallel", "parallel", "parallel", "reduction", "parallel"]}
      ins(%softmax, %value : tensor<1x4x96x96xf32>, tensor<1x4x96x64xf16>) outs(%zeroOutputs : tensor<1x4x96x64xf32>) {
  ^bb0(%p: f32, %v: f16, %sum: f32):
    %a = arith.extf %v : f16 to f32
    %b = arith.mulf %p, %a : f32
    %c = arith.addf %sum, %b : f32
    linalg.yield %c : f32
  } -> tensor<1x4x96x64xf32>
  %half = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%output : tensor<1x4x96x64xf32>) outs(%halves : tensor<1x4x96x64xf16>) {
  ^bb0(%o: f32, %old: f16):
    %a = arith.truncf %o : f32 to f16
    linalg.yield %a : f16
  } -> tensor<1x4x96x64xf16>
  return %half : tensor<1x4x96x64xf16>
}
