// GeForce RTX 50: mma.sync as on sm_89, without INT4; borrows sm_89's schedules.
// Rates: NVIDIA RTX Blackwell whitepaper and the CUDA C++ Programming Guide; products with float32 accumulators.
sage.target <chip = "sm_120a", family = mma_sync, ptx = 88, shared_bytes = 101376, e4m3_mma = true, int4_mma = false, schedules = "sm_89">
  rates <product = "GeForce RTX 5090", multiprocessors = 170, clock_mhz = 2407, tensor_f16 = 256, tensor_int8 = 1024, tensor_int4 = 0, tensor_e4m3 = 512,
    special = 16, fma = 128, alu = 64, convert = 64, shared = 128, latency = 33, shared_bytes = 102400, threads = 1536>
