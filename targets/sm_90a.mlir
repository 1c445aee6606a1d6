// H100, H200: warpgroup products. INT4 products are emulated there, so INT4 runs on the INT8 tensor cores.
// Rates measured on an H100, while products of other warps run (docs/Performance.md, version 2): conversions, integers and
// maxima then have half their rate. The tensor rates are as documented; the clock is what the board holds in these kernels.
sage.target <chip = "sm_90a", family = wgmma, ptx = 86, shared_bytes = 232448, e4m3_mma = true, int4_mma = false, schedules = "sm_90a">
  rates <product = "H100 SXM", multiprocessors = 132, clock_mhz = 1755, tensor_f16 = 2048, tensor_int8 = 4096, tensor_int4 = 0, tensor_e4m3 = 4096,
    special = 16, fma = 98, alu = 32, convert = 32, shared = 128, latency = 90, shared_bytes = 233472, threads = 2048>
