sage.schedule <family = mma_sync, copy = cp_async, head_dim = 64, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2>
