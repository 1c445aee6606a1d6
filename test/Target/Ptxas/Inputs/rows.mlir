// A row for every head dim: preparation kernels depend on a schedule only by its rows and key tile.
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 64, units = 4, rows_per_unit = 16, key_tile = 64, stages = 1>
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 128, units = 4, rows_per_unit = 16, key_tile = 64, stages = 1>
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 192, units = 4, rows_per_unit = 16, key_tile = 64, stages = 1>
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 256, units = 4, rows_per_unit = 16, key_tile = 64, stages = 1>
sage.schedule <family = wgmma, copy = tma, head_dim = 64, units = 1, rows_per_unit = 64, key_tile = 128, stages = 1>
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 1, rows_per_unit = 64, key_tile = 128, stages = 1>
sage.schedule <family = wgmma, copy = tma, head_dim = 192, units = 1, rows_per_unit = 64, key_tile = 128, stages = 1>
sage.schedule <family = wgmma, copy = tma, head_dim = 256, units = 1, rows_per_unit = 64, key_tile = 128, stages = 1>
