// GeForce RTX 40, L4, L40S: PTX 8.7 has e4m3 products with an f16 accumulator.
sage.target <chip = "sm_89", family = mma_sync, ptx = 87, shared_bytes = 101376, e4m3_mma = true, int4_mma = true, schedules = "sm_89">
