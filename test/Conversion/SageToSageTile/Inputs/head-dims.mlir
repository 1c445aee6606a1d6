// Head dims 64, 128, 192 and 256; RECIPE and ELEMENT are replaced by the tests that read this file.
func.func @attention64(%q: tensor<?x?x?x64xELEMENT>, %k: tensor<?x?x?x64xELEMENT>, %v: tensor<?x?x?x64xELEMENT>, %o: tensor<?x?x?x64xELEMENT>,
                       %l: tensor<?x?x?xf32>) -> (tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>) {
  %r, %lse = sage.attention ins(%q, %k, %v : tensor<?x?x?x64xELEMENT>, tensor<?x?x?x64xELEMENT>, tensor<?x?x?x64xELEMENT>)
      outs(%o, %l : tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>) {recipe = #sage.recipe<RECIPE>, layout = #sage.layout<head_major>}
      -> tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>
  return %r, %lse : tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>
}
func.func @attention128(%q: tensor<?x?x?x128xELEMENT>, %k: tensor<?x?x?x128xELEMENT>, %v: tensor<?x?x?x64xELEMENT>, %o: tensor<?x?x?x64xELEMENT>,
                       %l: tensor<?x?x?xf32>) -> (tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>) {
  %r, %lse = sage.attention ins(%q, %k, %v : tensor<?x?x?x128xELEMENT>, tensor<?x?x?x128xELEMENT>, tensor<?x?x?x64xELEMENT>)
      outs(%o, %l : tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>) {recipe = #sage.recipe<RECIPE>, layout = #sage.layout<head_major>}
      -> tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>
  return %r, %lse : tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>
}
func.func @attention192(%q: tensor<?x?x?x192xELEMENT>, %k: tensor<?x?x?x192xELEMENT>, %v: tensor<?x?x?x64xELEMENT>, %o: tensor<?x?x?x64xELEMENT>,
                       %l: tensor<?x?x?xf32>) -> (tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>) {
  %r, %lse = sage.attention ins(%q, %k, %v : tensor<?x?x?x192xELEMENT>, tensor<?x?x?x192xELEMENT>, tensor<?x?x?x64xELEMENT>)
      outs(%o, %l : tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>) {recipe = #sage.recipe<RECIPE>, layout = #sage.layout<head_major>}
      -> tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>
  return %r, %lse : tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>
}
func.func @attention256(%q: tensor<?x?x?x256xELEMENT>, %k: tensor<?x?x?x256xELEMENT>, %v: tensor<?x?x?x64xELEMENT>, %o: tensor<?x?x?x64xELEMENT>,
                       %l: tensor<?x?x?xf32>) -> (tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>) {
  %r, %lse = sage.attention ins(%q, %k, %v : tensor<?x?x?x256xELEMENT>, tensor<?x?x?x256xELEMENT>, tensor<?x?x?x64xELEMENT>)
      outs(%o, %l : tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>) {recipe = #sage.recipe<RECIPE>, layout = #sage.layout<head_major>}
      -> tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>
  return %r, %lse : tensor<?x?x?x64xELEMENT>, tensor<?x?x?xf32>
}
