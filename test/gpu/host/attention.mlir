// One attention whose host program is tested as a native executable; NAME is the family.
func.func @NAME(%query: memref<?x?x?x128xf16>, %key: memref<?x?x?x128xf16>, %value: memref<?x?x?x128xf16>,
                %output: memref<?x?x?x128xf16>, %lse: memref<?x?x?xf32>) attributes {llvm.emit_c_interface} {
  %q = bufferization.to_tensor %query restrict : memref<?x?x?x128xf16> to tensor<?x?x?x128xf16>
  %k = bufferization.to_tensor %key restrict : memref<?x?x?x128xf16> to tensor<?x?x?x128xf16>
  %v = bufferization.to_tensor %value restrict : memref<?x?x?x128xf16> to tensor<?x?x?x128xf16>
  %o = bufferization.to_tensor %output restrict writable : memref<?x?x?x128xf16> to tensor<?x?x?x128xf16>
  %l = bufferization.to_tensor %lse restrict writable : memref<?x?x?xf32> to tensor<?x?x?xf32>
  %result:2 = sage.attention
      ins(%q, %k, %v : tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>)
      outs(%o, %l : tensor<?x?x?x128xf16>, tensor<?x?x?xf32>)
      {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<causal_bottom_right>}
      -> tensor<?x?x?x128xf16>, tensor<?x?x?xf32>
  bufferization.materialize_in_destination %result#0 in restrict writable %output
      : (tensor<?x?x?x128xf16>, memref<?x?x?x128xf16>) -> ()
  bufferization.materialize_in_destination %result#1 in restrict writable %lse
      : (tensor<?x?x?xf32>, memref<?x?x?xf32>) -> ()
  return
}
