// Three consumer warpgroups in sequence beat two that overlap their products: more customers for the same units.
// INT8 scores start at the bits of a float, so that no instruction converts them: 4 to 6 % (docs/Performance.md, version 4).
// Q is quantized where it is used: everything is 10 % faster at 1K, 3 % at 4K (version 5).
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 128, stages = 3,
  exp_chunks = 8, conversion = magic, producer_registers = 32, consumer_registers = 160,
  score_terms = false, intervals = false, masks = false, persistent = true, quantizes_query = true>
// Tiles under a mask are short: persistent blocks with four stages gain 2 % at 1K and 1 % at 16K (version 5).
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 128, stages = 4,
  exp_chunks = 4, conversion = magic, producer_registers = 32, consumer_registers = 160,
  score_terms = false, intervals = false, windows = false, persistent = true, quantizes_query = true>
// Scores that are floats already.
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 128, stages = 2,
  value_chunks = 2, conversion = convert, producer_registers = 32, consumer_registers = 160,
  score_terms = false, intervals = false, masks = false, persistent = true>
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 128, stages = 2,
  value_chunks = 2, exp_chunks = 8, conversion = convert, producer_registers = 32, consumer_registers = 160,
  score_terms = false, intervals = false, windows = false>
// Sums of intervals and two bounds of a mask take registers: two consumer warpgroups have them.
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 2, rows_per_unit = 64, key_tile = 128, stages = 2,
  value_chunks = 2, producer_registers = 24, consumer_registers = 240, score_terms = false, late_conversions = false>
// Scales, biases and functions of single scores take registers from a tile of 128 keys; dS, which all rows share, does not.
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 64, stages = 3,
  value_chunks = 2, producer_registers = 32, consumer_registers = 160, persistent = true>
