// H100, H200: warpgroup products. INT4 products are emulated there, so INT4 runs on the INT8 tensor cores.
sage.target <chip = "sm_90a", family = wgmma, ptx = 86, shared_bytes = 232448, e4m3_mma = true, int4_mma = false, schedules = "sm_90a">
