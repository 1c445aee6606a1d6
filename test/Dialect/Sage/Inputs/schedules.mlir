// Rows for assign-schedule.mlir: one that fits nothing there, one that does.
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 64, units = 4, rows_per_unit = 16, key_tile = 64, stages = 3>
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 128, units = 4, rows_per_unit = 16, key_tile = 64, stages = 3>
