// GeForce RTX 40, L4, L40S: PTX 8.7 has e4m3 products with an f16 accumulator.
// Rates: NVIDIA Ada whitepaper and the CUDA C++ Programming Guide.
sage.target <chip = "sm_89", family = mma_sync, ptx = 87, shared_bytes = 101376, e4m3_mma = true, int4_mma = true, schedules = "sm_89">
  rates <product = "L40S", multiprocessors = 142, clock_mhz = 2520, tensor_f16 = 512, tensor_int8 = 1024, tensor_int4 = 2048, tensor_e4m3 = 1024,
    special = 16, fma = 128, alu = 64, convert = 64, shared = 128, latency = 33, shared_bytes = 102400, threads = 1536>
