// GeForce RTX 30, A10, A40: as sm_80 with less shared memory.
sage.target <chip = "sm_86", family = mma_sync, ptx = 80, shared_bytes = 101376, e4m3_mma = false, int4_mma = true, schedules = "sm_89">
