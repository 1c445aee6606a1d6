// A100: no 8-bit float products; INT4 in the tensor cores.
sage.target <chip = "sm_80", family = mma_sync, ptx = 80, shared_bytes = 166912, e4m3_mma = false, int4_mma = true, schedules = "sm_89">
