// 16 rows a warp: 32 rows with two accumulator levels at head dim 128 spill inside the loop.
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 128, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2>
