// The output takes 128 registers; its product is made in two halves, apart from what is around them, and Q stays in shared
// memory.
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 256, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2,
  value_chunks = 2, fence_products = true>
// 16-bit operands, in the 163 KiB of sm_80 and in 99 KiB.
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 256, units = 8, rows_per_unit = 16, key_tile = 32, stages = 2,
  fence_products = true>
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 256, units = 4, rows_per_unit = 16, key_tile = 32, stages = 2,
  fence_products = true>
