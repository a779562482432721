func.func @main(%x: tensor<?x3x?x?xf32, #kiln.dims<[N, 3, H, W]>> {kiln.name = "x"}) -> tensor<?x3x?x?xf32> {
  %r = kiln.relu %x : (tensor<?x3x?x?xf32, #kiln.dims<[N, 3, H, W]>>) -> tensor<?x3x?x?xf32>
  return %r : tensor<?x3x?x?xf32>
}
