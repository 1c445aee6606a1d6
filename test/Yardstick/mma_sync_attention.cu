// A yardstick, no part of the product: SageAttention2's schedule for mma.sync (its Ada and Ampere kernels: 128 query rows of
// four warps with 32 rows each, tiles of 64 keys, two cp.async stages, per-thread scales, K and V read through ldmatrix from
// swizzled shared memory, float row sums), written in CUDA C++ as such kernels are, so that count-instructions.py can compare
// what nvcc makes of it with what Sage generates. Head dim D, `kInt4`: packed INT4 products; `kFp8`: e4m3 P and V with a fresh
// accumulator for each tile, otherwise f16 ones added in place. Without masks: the main loop is what is counted.
#include <cstdint>
#include <cuda_fp16.h>

namespace {

constexpr int kRows = 32, kWarps = 4, kKeys = 64;

__device__ inline uint32_t sharedAddress(const void *pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ inline void copy16(uint32_t to, const void *from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from));
}

__device__ inline void loadMatrices(uint32_t address, uint32_t (&r)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address));
}

template <bool kInt4>
__device__ inline void multiplyScores(int (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  if constexpr (kInt4)
    asm volatile("mma.sync.aligned.m16n8k64.row.col.s32.s4.s4.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

template <bool kFp8>
__device__ inline void multiplyValues(float (&c)[4], const uint32_t *a, uint32_t b0, uint32_t b1) {
  if constexpr (kFp8)
    asm volatile("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ inline float exp2Approximate(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ inline uint32_t packE4m3(float a, float b, float c, float d) {
  uint16_t low, high;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(low) : "f"(b), "f"(a));
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(high) : "f"(d), "f"(c));
  return low | uint32_t(high) << 16;
}

__device__ inline uint32_t packHalves(float a, float b) {
  __half2 pair = __floats2half2_rn(a, b);
  return *reinterpret_cast<uint32_t *>(&pair);
}

/// A tile of rows of kBytes bytes, whose 16-byte pieces are permuted so that eight rows of a piece lie in eight banks.
template <int kBytes> struct Tile {
  static constexpr int kPieces = kBytes / 16, kMask = kPieces < 8 ? kPieces - 1 : 7;
  __device__ static int offset(int row, int piece) {
    return row * kBytes + ((piece ^ ((row * kBytes / 128) & kMask)) << 4);
  }
  template <int kTileRows> __device__ static void copy(uint32_t to, const int8_t *from, int64_t stride) {
#pragma unroll
    for (int i = threadIdx.x; i < kTileRows * kPieces; i += kWarps * 32)
      copy16(to + offset(i / kPieces, i % kPieces), from + i / kPieces * stride + i % kPieces * 16);
  }
};

template <int D, bool kInt4, bool kFp8>
__global__ void __launch_bounds__(kWarps * 32)
    attention(const int8_t *q, const int8_t *k, const int8_t *v, const float *queryScales, const float *keyScales,
              const float *valueScales, __half *o, int queries, int keys, float scaleLog2e) {
  constexpr int kScoreBytes = kInt4 ? D / 2 : D, kValueBytes = kFp8 ? kKeys : 2 * kKeys;
  constexpr int kSteps = kScoreBytes / 32, kValueSteps = kValueBytes / 32;
  using KeyTile = Tile<kScoreBytes>;
  using ValueTile = Tile<kValueBytes>;
  extern __shared__ __align__(1024) int8_t shared[];
  constexpr int kKeyTileBytes = kKeys * kScoreBytes, kValueTileBytes = D * kValueBytes;
  uint32_t queryTile = sharedAddress(shared), keyTiles = queryTile + kWarps * kRows * kScoreBytes;
  uint32_t valueTiles = keyTiles + 2 * kKeyTileBytes;
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, head = blockIdx.y;
  int firstQuery = blockIdx.x * kWarps * kRows, tiles = keys / kKeys;
  q += (int64_t(head) * queries + firstQuery) * kScoreBytes;
  k += int64_t(head) * keys * kScoreBytes;
  v += int64_t(head) * D * keys * (kFp8 ? 1 : 2);
  const int64_t valueStride = int64_t(keys) * (kFp8 ? 1 : 2);

  KeyTile::template copy<kWarps * kRows>(queryTile, q, kScoreBytes);
  auto load = [&](int tile) {
    KeyTile::template copy<kKeys>(keyTiles + tile % 2 * kKeyTileBytes, k + int64_t(tile) * kKeyTileBytes, kScoreBytes);
    ValueTile::template copy<D>(valueTiles + tile % 2 * kValueTileBytes, v + int64_t(tile) * kValueBytes, valueStride);
    asm volatile("cp.async.commit_group;");
  };
  load(0);

  float scale[2], maximum[2][2], sum[2][2], total[2][D / 8][4];
#pragma unroll
  for (int m = 0; m < 2; ++m) {
    // Per-thread groups of Q: rows t, t + 8, t + 16, t + 24 share a scale.
    scale[m] = queryScales[(int64_t(head) * queries + firstQuery) / 32 * 8 + warp * 8 + lane / 4] * scaleLog2e;
#pragma unroll
    for (int r = 0; r < 2; ++r)
      maximum[m][r] = -INFINITY, sum[m][r] = 0;
#pragma unroll
    for (int i = 0; i < D / 8; ++i)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        total[m][i][e] = 0;
  }

#pragma unroll 1
  for (int tile = 0; tile < tiles; ++tile) {
    if (tile + 1 < tiles) {
      load(tile + 1);
      asm volatile("cp.async.wait_group 1;");
    } else {
      asm volatile("cp.async.wait_group 0;");
    }
    __syncthreads();
    uint32_t keyTile = keyTiles + tile % 2 * kKeyTileBytes, valueTile = valueTiles + tile % 2 * kValueTileBytes;
    int scores[2][kKeys / 8][4] = {};
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      uint32_t a[2][4];
#pragma unroll
      for (int m = 0; m < 2; ++m)
        loadMatrices(queryTile + KeyTile::offset(warp * kRows + m * 16 + lane % 16, step * 2 + lane / 16), a[m]);
#pragma unroll
      for (int i = 0; i < kKeys / 8; i += 2) {
        uint32_t b[4];
        loadMatrices(keyTile + KeyTile::offset(i * 8 + lane % 8 + lane / 16 * 8, step * 2 + lane / 8 % 2), b);
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          multiplyScores<kInt4>(scores[m][i], a[m], b[0], b[1]);
          multiplyScores<kInt4>(scores[m][i + 1], a[m], b[2], b[3]);
        }
      }
    }

    float keyScale = keyScales[(int64_t(head) * tiles + tile) * 4 + lane % 4], rescale[2][2];
    uint32_t packed[2][kValueSteps * 4];
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      float factor = scale[m] * keyScale, x[kKeys / 8][4];
#pragma unroll
      for (int i = 0; i < kKeys / 8; ++i)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          x[i][e] = __int2float_rn(scores[m][i][e]) * factor;
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        float largest = maximum[m][r];
#pragma unroll
        for (int i = 0; i < kKeys / 8; ++i)
          largest = fmaxf(largest, fmaxf(x[i][2 * r], x[i][2 * r + 1]));
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffff, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffff, largest, 2));
        rescale[m][r] = exp2Approximate(maximum[m][r] - largest);
        maximum[m][r] = largest;
        float partial = 0, offset = (kFp8 ? 8.807354922f : 0.0f) - largest;
#pragma unroll
        for (int i = 0; i < kKeys / 8; ++i)
#pragma unroll
          for (int e = 2 * r; e < 2 * r + 2; ++e) {
            x[i][e] = exp2Approximate(x[i][e] + offset);
            partial += x[i][e];
          }
        sum[m][r] = sum[m][r] * rescale[m][r] + partial;
      }
      // The accumulator of S is the A operand of PV: V's tokens are permuted for e4m3.
#pragma unroll
      for (int step = 0; step < kValueSteps; ++step)
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
          for (int r = 0; r < 2; ++r) {
            if constexpr (kFp8) {
              int i = step * 4 + half * 2;
              packed[m][step * 4 + half * 2 + r] =
                  packE4m3(x[i][2 * r], x[i][2 * r + 1], x[i + 1][2 * r], x[i + 1][2 * r + 1]);
            } else {
              int i = step * 2 + half;
              packed[m][step * 4 + half * 2 + r] = packHalves(x[i][2 * r], x[i][2 * r + 1]);
            }
          }
    }

    if constexpr (!kFp8)
#pragma unroll
      for (int m = 0; m < 2; ++m)
#pragma unroll
        for (int i = 0; i < D / 8; ++i)
#pragma unroll
          for (int e = 0; e < 4; ++e)
            total[m][i][e] *= rescale[m][e / 2];
#pragma unroll
    for (int i = 0; i < D / 8; i += 2) {
      float fresh[2][2][4] = {};
#pragma unroll
      for (int step = 0; step < kValueSteps; ++step) {
        uint32_t b[4];
        loadMatrices(valueTile + ValueTile::offset(i * 8 + lane % 8 + lane / 16 * 8, step * 2 + lane / 8 % 2), b);
#pragma unroll
        for (int m = 0; m < 2; ++m)
#pragma unroll
          for (int n = 0; n < 2; ++n)
            multiplyValues<kFp8>(kFp8 ? fresh[m][n] : total[m][i + n], packed[m] + step * 4, b[2 * n], b[2 * n + 1]);
      }
      if constexpr (kFp8)
#pragma unroll
        for (int m = 0; m < 2; ++m)
#pragma unroll
          for (int n = 0; n < 2; ++n)
#pragma unroll
            for (int e = 0; e < 4; ++e)
              total[m][i + n][e] = total[m][i + n][e] * rescale[m][e / 2] + fresh[m][n][e];
    }
    __syncthreads();
  }

#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      sum[m][r] += __shfl_xor_sync(0xffffffff, sum[m][r], 1);
      sum[m][r] += __shfl_xor_sync(0xffffffff, sum[m][r], 2);
      int64_t row = int64_t(head) * queries + firstQuery + warp * kRows + m * 16 + lane / 4 + 8 * r;
#pragma unroll
      for (int i = 0; i < D / 8; ++i) {
        int channel = i * 8 + lane % 4 * 2;
        float2 scales = kFp8 ? *reinterpret_cast<const float2 *>(valueScales + head * D + channel) : float2{1, 1};
        float inverse = 1 / sum[m][r];
        *reinterpret_cast<__half2 *>(o + row * D + channel) =
            __floats2half2_rn(total[m][i][2 * r] * inverse * scales.x, total[m][i][2 * r + 1] * inverse * scales.y);
      }
    }
}

template __global__ void attention<64, false, false>(const int8_t *, const int8_t *, const int8_t *, const float *, const float *,
                                                     const float *, __half *, int, int, float);
template __global__ void attention<128, false, false>(const int8_t *, const int8_t *, const int8_t *, const float *, const float *,
                                                      const float *, __half *, int, int, float);
template __global__ void attention<64, true, false>(const int8_t *, const int8_t *, const int8_t *, const float *, const float *,
                                                    const float *, __half *, int, int, float);
template __global__ void attention<128, true, false>(const int8_t *, const int8_t *, const int8_t *, const float *, const float *,
                                                     const float *, __half *, int, int, float);
#if __CUDA_ARCH__ >= 890
template __global__ void attention<64, false, true>(const int8_t *, const int8_t *, const int8_t *, const float *, const float *,
                                                    const float *, __half *, int, int, float);
template __global__ void attention<128, false, true>(const int8_t *, const int8_t *, const int8_t *, const float *, const float *,
                                                     const float *, __half *, int, int, float);
template __global__ void attention<64, true, true>(const int8_t *, const int8_t *, const int8_t *, const float *, const float *,
                                                   const float *, __half *, int, int, float);
template __global__ void attention<128, true, true>(const int8_t *, const int8_t *, const int8_t *, const float *, const float *,
                                                    const float *, __half *, int, int, float);
#endif

} // namespace
