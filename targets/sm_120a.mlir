// GeForce RTX 50: mma.sync as on sm_89, without INT4; borrows sm_89's schedules.
sage.target <chip = "sm_120a", family = mma_sync, ptx = 88, shared_bytes = 101376, e4m3_mma = true, int4_mma = false, schedules = "sm_89">
