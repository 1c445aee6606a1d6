// Two consumer warpgroups: 240 registers hold 96 of the output beside scores and probabilities.
sage.schedule <family = wgmma, copy = tma, head_dim = 192, units = 2, rows_per_unit = 64, key_tile = 128, stages = 2,
  value_chunks = 3, producer_registers = 24, consumer_registers = 240>
// 16-bit operands: two stages of 64 keys instead of one of 128.
sage.schedule <family = wgmma, copy = tma, head_dim = 192, units = 2, rows_per_unit = 64, key_tile = 64, stages = 2,
  value_chunks = 3, producer_registers = 24, consumer_registers = 240>
