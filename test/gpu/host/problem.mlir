// The attention of attention.mlir alone: its artifact says which CPU reference the programs are compared with.
func.func @attend(%q: tensor<?x?x?x128xf16>, %k: tensor<?x?x?x128xf16>, %v: tensor<?x?x?x128xf16>, %o: tensor<?x?x?x128xf16>,
                  %l: tensor<?x?x?xf32>) -> (tensor<?x?x?x128xf16>, tensor<?x?x?xf32>) {
  %result:2 = sage.attention
      ins(%q, %k, %v : tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>)
      outs(%o, %l : tensor<?x?x?x128xf16>, tensor<?x?x?xf32>)
      {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<causal_bottom_right>}
      -> tensor<?x?x?x128xf16>, tensor<?x?x?xf32>
  return %result#0, %result#1 : tensor<?x?x?x128xf16>, tensor<?x?x?xf32>
}
