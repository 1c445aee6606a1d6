// A row that stays what it is, whatever the built-in rows become.
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 128, stages = 2,
  value_chunks = 2, producer_registers = 32, consumer_registers = 160, score_terms = false>
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 64, stages = 3,
  value_chunks = 2, producer_registers = 32, consumer_registers = 160>
