// GeForce RTX 30, A10, A40: as sm_80 with less shared memory.
// Rates: NVIDIA GA102 whitepaper and the CUDA C++ Programming Guide.
sage.target <chip = "sm_86", family = mma_sync, ptx = 80, shared_bytes = 101376, e4m3_mma = false, int4_mma = true, schedules = "sm_89">
  rates <product = "A40", multiprocessors = 84, clock_mhz = 1740, tensor_f16 = 512, tensor_int8 = 1024, tensor_int4 = 2048, tensor_e4m3 = 0,
    special = 16, fma = 128, alu = 64, convert = 64, shared = 128, latency = 33, shared_bytes = 102400, threads = 1536>
