// Three consumer warpgroups in sequence beat two that overlap their products: more customers for the same units.
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 128, stages = 2,
  value_chunks = 2, exp_chunks = 8, conversion = magic, producer_registers = 32, consumer_registers = 160>
// Where the scores are not INT8, conversion by instruction.
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 128, stages = 2,
  value_chunks = 2, exp_chunks = 8, conversion = convert, producer_registers = 32, consumer_registers = 160>
