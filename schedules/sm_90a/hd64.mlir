// INT8 scores start at the bits of a float, as at head dim 128. All of PV in one chunk.
sage.schedule <family = wgmma, copy = tma, head_dim = 64, units = 3, rows_per_unit = 64, key_tile = 192, stages = 2,
  exp_chunks = 8, conversion = magic, producer_registers = 32, consumer_registers = 160, score_terms = false, persistent = true,
  quantizes_query = true>
// Scores that are floats already.
sage.schedule <family = wgmma, copy = tma, head_dim = 64, units = 3, rows_per_unit = 64, key_tile = 192, stages = 2,
  producer_registers = 32, consumer_registers = 160, score_terms = false, persistent = true>
// For a geometry with 128 keys a tile, and for scores with a factor or a function of their own, which take registers.
sage.schedule <family = wgmma, copy = tma, head_dim = 64, units = 3, rows_per_unit = 64, key_tile = 128, stages = 2,
  producer_registers = 32, consumer_registers = 160, persistent = true>
