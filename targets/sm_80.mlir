// A100: no 8-bit float products; INT4 in the tensor cores.
// Rates: NVIDIA A100 whitepaper and the CUDA C++ Programming Guide.
sage.target <chip = "sm_80", family = mma_sync, ptx = 80, shared_bytes = 166912, e4m3_mma = false, int4_mma = true, schedules = "sm_89">
  rates <product = "A100 SXM", multiprocessors = 108, clock_mhz = 1410, tensor_f16 = 1024, tensor_int8 = 2048, tensor_int4 = 4096, tensor_e4m3 = 0,
    special = 16, fma = 64, alu = 64, convert = 64, shared = 128, latency = 33, shared_bytes = 167936, threads = 2048>
