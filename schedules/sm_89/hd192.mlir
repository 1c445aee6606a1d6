// The output takes 96 registers, and Q stays in shared memory.
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 192, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2>
// 16-bit operands in 99 KiB of shared memory.
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 192, units = 8, rows_per_unit = 16, key_tile = 32, stages = 2>
