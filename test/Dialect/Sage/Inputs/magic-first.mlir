// The first row is for INT8 scores only.
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 128, stages = 2,
  value_chunks = 2, exp_chunks = 8, conversion = magic, producer_registers = 32, consumer_registers = 160>
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 128, stages = 2,
  value_chunks = 2, exp_chunks = 8, conversion = convert, producer_registers = 32, consumer_registers = 160>
