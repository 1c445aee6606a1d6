// The output alone takes 128 of a consumer's 240 registers: tiles of 64 keys, and narrow chunks of its product.
sage.schedule <family = wgmma, copy = tma, head_dim = 256, units = 2, rows_per_unit = 64, key_tile = 64, stages = 2,
  value_chunks = 16, producer_registers = 24, consumer_registers = 240>
