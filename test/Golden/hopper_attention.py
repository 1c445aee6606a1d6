#!/usr/bin/env python3
"""Generates a reference NVVM-level module: quantized attention for sm_90a.

The module holds one kernel, `attn`: INT8 Q.K^T, FP8 (E4M3) P.V, head dim 128,
per-lane scales, two-level accumulation. It is the form that the lowering of
`sage_tile` has to reach: fragments are `vector<NxT>` values of one lane,
elementwise work is `arith` and `math` on slices of them, control flow is `scf`,
and inline assembly is left to what NVVM has no op for (wgmma with registers as
operands, and waits that the accumulators pass through).

The options switch single decisions of the schedule, so that the cost of each
can be read off the assembler's report and off a timing:

    hopper_attention.py [options] > attention.mlir
    mlir-opt --nvptx-short-ptr --pass-pipeline="$(hopper_attention.py --pipeline)"
"""

import argparse

from ir_builder import GLOBAL, SHARED, Builder

PIPELINE = (
    "builtin.module(gpu.module(convert-scf-to-cf),convert-vector-to-llvm,"
    "convert-cf-to-llvm,gpu.module(convert-math-to-llvm,convert-arith-to-llvm,"
    "convert-nvvm-to-llvm,reconcile-unrealized-casts),"
    "gpu-module-to-binary{format=isa})"
)

HEAD_DIM = 128
KEY_TILE = 128
CONSUMERS = 3
QUERY_TILE = 64 * CONSUMERS
THREADS = 128 * (CONSUMERS + 1)
CAUSAL_HEAD_GROUP = 8

# Shared memory. Eight rows of ones follow the 128 channels of each V stage, so
# that the same descriptor reads them as channels 128..135.
Q_BYTES = QUERY_TILE * HEAD_DIM
K_BYTES = KEY_TILE * HEAD_DIM
V_BYTES = HEAD_DIM * KEY_TILE
V_STAGE = V_BYTES + 8 * KEY_TILE
K_AT = Q_BYTES
V_AT = K_AT + 2 * K_BYTES
BARRIERS_AT = V_AT + 2 * V_STAGE
Q_FULL, Q_EMPTY, K_FULL, K_EMPTY, V_FULL, V_EMPTY = (
    BARRIERS_AT + offset for offset in (0, 8, 16, 32, 48, 64))
K_SCALES_AT = BARRIERS_AT + 128
MAGIC_AT = BARRIERS_AT + 192
SHARED_BYTES = BARRIERS_AT + 256

# 1.5 * 2^23: an integer added to its bits is the float 12582912 + integer.
MAGIC_BITS, MAGIC = 0x4B400000, 12582912.0
LOG2_448 = 8.807354922


class Kernel(Builder):
    def __init__(self, options):
        super().__init__()
        self.options = options
        self.ones = options.row_sum == "ones"
        self.magic = options.convert != "i2f"

    def by_row(self, pair, count):
        """Spreads (row t, row t+8) over a fragment slice: element 4i+2r+e belongs to row r."""
        return self.vector([pair[(i >> 1) & 1] for i in range(count)], "f32")

    # ---- synchronization and copies ----

    def barrier(self, offset, stage=None):
        if stage is None:
            return self.at("%smem", offset)
        return self.at(self.at("%smem", offset), self.mul(stage, self.i32(8)))

    def wait(self, barrier, parity):
        self.emit(f"nvvm.mbarrier.try_wait.parity {barrier}, {parity}, {self.i32(10000000)} : {SHARED}, i32, i32")

    def arrive(self, barrier):
        """One arrival per warp. Predicated: a branch here costs the assembler its proof that the loop is uniform."""
        self.emit(f"nvvm.inline_ptx \"mbarrier.arrive.shared::cta.b64 _, [$0];\" ro({barrier} : {SHARED}), "
                  f"predicate = %lane_is_0")

    def expect(self, barrier, count):
        self.emit(f"nvvm.mbarrier.arrive.expect_tx {barrier}, {self.i32(count)} : {SHARED}, i32")

    def copy_tile(self, to, tensor_map, barrier, *coordinates):
        self.emit(f"nvvm.cp.async.bulk.tensor.shared.cluster.global {to}, {tensor_map}, {barrier}, "
                  f"box [{', '.join(coordinates)}] {{isCTAOnly = true}} : {SHARED}, !llvm.ptr")

    def stage_of(self, step):
        """Stage and parity of the running key tile number."""
        one = self.i32(1)
        return self.op("andi", step, one), self.op("andi", self.op("shrui", step, one), one)

    # ---- matrix products ----

    def descriptor(self, address):
        """Low word of a shared-memory matrix descriptor: K-major rows of 128 bytes."""
        return self.op("ori", self.op("shrui", address, self.i32(4)), self.i32(1 << 16))

    def descriptor_at(self, low, offset):
        """The descriptor `offset` bytes on. The upper word holds the stride (8 rows) and the swizzle mode.
        The words are joined last: ptxas 13.0 drops the upper half of a 64-bit constant that is added to
        a uniform value (UIADD3.64), and LLVM folds 64-bit arithmetic into that form."""
        moved = self.add(low, self.i32(offset >> 4)) if offset else low
        words = self.vector([moved, self.i32((8 * 128 >> 4) | (1 << 30))], "i32")
        return self.value(f"llvm.bitcast {words} : vector<2xi32> to i64")

    def wgmma(self, n, kinds, accumulator, a, b):
        """One m64nNk32 step. A missing accumulator means D = A*B; `a` is a descriptor or four registers."""
        d_kind, register = kinds[0], ("r", "i32") if kinds[0] == "s32" else ("f", "f32")
        count = n // 2
        d = ", ".join(f"${i}" for i in range(count))
        a_text = f"${count}" if len(a) == 1 else "{" + ", ".join(f"${count + i}" for i in range(4)) + "}"
        a_inputs = [(a[0], "l", "i64")] if len(a) == 1 else [(x, "r", "i32") for x in a]
        signs = "" if d_kind == "s32" else ", 1, 1"
        text = (f"{{ .reg .pred p; setp.ne.b32 p, {1 if accumulator else 0}, 0; "
                f"wgmma.mma_async.sync.aligned.m64n{n}k32.{'.'.join(kinds)} {{{d}}}, {a_text}, "
                f"${count + len(a)}, p{signs}; }}")
        return self.asm(text, [register] * count, a_inputs + [(b, "l", "i64")], accumulator or ())

    def wait_products(self, pending, accumulator, type, keep=()):
        """The accumulator passes through the wait, so that no use can be moved above it. `keep` are
        operand registers of the products: they must not be reused before the wait."""
        register = "r" if type == "i32" else "f"
        return self.asm(f"wgmma.wait_group.sync.aligned {pending};", [(register, type)] * len(accumulator),
                        [(value, "r", "i32") for value in keep], accumulator)

    # ---- the two roles ----

    def decode(self, tile):
        """Tile number -> (head, first query, number of key tiles, first key tile that needs a mask)."""
        if self.options.causal:
            # The longest rows of a group of heads first; within a group the head varies fastest.
            group_size = self.mul("%query_tiles", self.i32(CAUSAL_HEAD_GROUP))
            first = self.mul(self.op("divui", tile, group_size), self.i32(CAUSAL_HEAD_GROUP))
            rest = self.op("remui", tile, group_size)
            heads = self.min_u(self.i32(CAUSAL_HEAD_GROUP), self.sub("%heads", first))
            query_tile = self.sub(self.sub("%query_tiles", self.i32(1)), self.op("divui", rest, heads))
            head = self.add(first, self.op("remui", rest, heads))
        else:
            head = self.op("divui", tile, "%query_tiles")
            query_tile = self.op("remui", tile, "%query_tiles")
        query = self.mul(query_tile, self.i32(QUERY_TILE))
        if self.options.causal:
            end = self.min_u(self.add(query, self.i32(QUERY_TILE)), "%tokens")
            return head, query, self.ceil_div(end, KEY_TILE), self.op("divui", query, self.i32(KEY_TILE))
        return head, query, "%key_tiles", self.op("divui", "%tokens", self.i32(KEY_TILE))

    def for_each_tile(self, body):
        """body(tile, running tile number, running key tile number) -> next key tile number."""
        zero, one = self.i32(0), self.i32(1)
        if self.options.grid == "one-per-tile":
            body("%block", zero, zero)
            return
        self.for_loop("%block", "%tiles", "%grid", [(zero, "i32"), (zero, "i32")],
                      lambda tile, number, step: (self.add(number, one), body(tile, number, step)))

    def producer(self):
        self.emit("nvvm.setmaxregister decrease 32")
        self.if_then(self.compare("eq", "%thread", self.i32(0)), self.producer_thread)

    def producer_thread(self):
        clock = self.value("nvvm.read.ptx.sreg.clock64 : i64")
        time = self.value("nvvm.read.ptx.sreg.globaltimer : i64")
        self.for_each_tile(self.produce_tile)
        clock = self.op("subi", self.value("nvvm.read.ptx.sreg.clock64 : i64"), clock, "i64")
        time = self.op("subi", self.value("nvvm.read.ptx.sreg.globaltimer : i64"), time, "i64")

        def store():
            self.emit(f"llvm.store {clock}, %clk : i64, {GLOBAL}")
            self.emit(f"llvm.store {time}, {self.at('%clk', 8, GLOBAL)} : i64, {GLOBAL}")
        self.if_then(self.compare("eq", "%block", self.i32(0)), store)

    def produce_tile(self, tile, number, step):
        zero, one = self.i32(0), self.i32(1)
        head, query, key_tiles, _ = self.decode(tile)
        empty_parity = self.op("xori", self.op("andi", number, one), one)
        self.wait(self.barrier(Q_EMPTY), empty_parity)
        self.expect(self.barrier(Q_FULL), Q_BYTES)
        self.copy_tile("%smem", "%query_map", self.barrier(Q_FULL), zero, query, head)
        last = self.sub(self.add(step, key_tiles), one)
        head_scales = self.mul(head, "%key_tiles")

        def produce(now):
            key_tile = self.sub(last, now)
            key = self.mul(key_tile, self.i32(KEY_TILE))
            stage, parity = self.stage_of(now)
            free = self.op("xori", parity, one)
            self.wait(self.barrier(K_EMPTY, stage), free)
            full = self.barrier(K_FULL, stage)
            self.expect(full, K_BYTES + 16)
            self.copy_tile(self.at(self.at("%smem", K_AT), self.mul(stage, self.i32(K_BYTES))),
                           "%key_map", full, zero, key, head)
            scales = self.at("%key_scales", self.add(head_scales, key_tile), GLOBAL, "vector<4xf32>")
            to = self.at(self.at("%smem", K_SCALES_AT), self.mul(stage, self.i32(16)))
            self.emit(f"nvvm.cp.async.bulk.shared.cluster.global {to}, {scales}, {full}, {self.i32(16)}"
                      f" : {SHARED}, {GLOBAL}")
            self.wait(self.barrier(V_EMPTY, stage), free)
            full = self.barrier(V_FULL, stage)
            self.expect(full, V_BYTES)
            self.copy_tile(self.at(self.at("%smem", V_AT), self.mul(stage, self.i32(V_STAGE))),
                           "%value_map", full, key, zero, head)
        end = self.add(step, key_tiles)
        self.for_loop(step, end, one, [], lambda now: produce(now))
        return end

    def consumer(self):
        self.emit("nvvm.setmaxregister increase 160")
        i32 = self.i32
        group = self.sub("%group", i32(1))
        self.warp_row = self.add(self.mul(group, i32(64)), self.mul(
            self.op("andi", self.op("shrui", "%thread", i32(5)), i32(3)), i32(16)))
        lane = self.op("andi", "%thread", i32(31))
        self.lane_row = self.op("shrui", lane, i32(2))
        self.lane_column = self.mul(self.op("andi", lane, i32(3)), i32(2))
        self.name("lane_is_0", self.compare("eq", lane, i32(0)))
        address = self.value(f"llvm.ptrtoint %smem : {SHARED} to i32")
        self.query_desc = self.descriptor(self.add(address, self.mul(group, i32(64 * HEAD_DIM))))
        self.key_desc = self.descriptor(self.add(address, i32(K_AT)))
        self.value_desc = self.descriptor(self.add(address, i32(V_AT)))
        self.for_each_tile(self.consume_tile)

    def consume_tile(self, tile, number, step):
        i32 = self.i32
        head, query, key_tiles, first_masked = self.decode(tile)
        warp_row = self.add(query, self.warp_row)
        row = self.add(warp_row, self.lane_row)
        in_range = self.compare("ult", warp_row, "%tokens")
        head_row = self.mul(head, "%tokens")

        def load_scale():
            index = self.add(self.op("shrui", self.add(head_row, warp_row), i32(1)), self.lane_row)
            return self.load(self.at("%query_scales", index, GLOBAL, "f32"), "f32")
        scale = self.if_then(in_range, load_scale, lambda: self.f32(0), "f32")
        scale = self.mul_f(scale, "%scale_log2e")

        self.wait(self.barrier(Q_FULL), self.op("andi", number, i32(1)))
        parts = self.options.pv_halves
        part_type = f"vector<{64 // parts}xf32>"
        zeros = self.const("dense<0.0>", part_type)
        state = ([(zeros, part_type)] * parts + [(self.f32(-1e30), "f32")] * 2 + [(self.f32(0), "f32")] * 2)
        # The key tiles that need a mask are the last ones, and they come first.
        middle = self.add(step, self.sub(key_tiles, first_masked))
        end = self.add(step, key_tiles)
        last_key = self.mul(self.sub(end, i32(1)), i32(KEY_TILE))
        if self.options.causal:
            limits = [self.min_u(self.add(row, i32(1 + 8 * r)), "%tokens") for r in (0, 1)]
        else:
            limits = ["%tokens"] * 2
        limits = [self.sub(limit, self.lane_column) for limit in limits]

        def masked(now, *state):
            key = self.sub(last_key, self.mul(now, i32(KEY_TILE)))
            return self.consume_key_tile(scale, now, state, [self.sub(limit, key) for limit in limits])
        state = self.for_loop(step, middle, i32(1), state, masked)
        types = [part_type] * parts + ["f32"] * 4
        state = self.for_loop(middle, end, i32(1), list(zip(state, types)),
                              lambda now, *state: self.consume_key_tile(scale, now, state, None))
        self.arrive(self.barrier(Q_EMPTY))
        self.store_output(head, row, state)
        return end

    def consume_key_tile(self, scale, now, state, limits):
        parts = self.options.pv_halves
        outputs, maxima, sums = state[:parts], state[parts:parts + 2], state[parts + 2:]
        stage, parity = self.stage_of(now)
        self.wait(self.barrier(K_FULL, stage), parity)
        lane_scale = self.at(self.at(self.at("%smem", K_SCALES_AT), self.mul(stage, self.i32(16))),
                             self.mul(self.lane_column, self.i32(2)))
        factor = self.mul_f(scale, self.load(lane_scale, "f32", SHARED))
        scores = self.score_product(stage)
        self.arrive(self.barrier(K_EMPTY, stage))
        scores = self.vector(scores, "i32")
        if limits:
            scores = self.mask(scores, limits)
        maxima, alphas, offsets = self.new_maxima(scores, maxima, factor)
        packed, sums = self.exponentials(scores, factor, offsets, sums, alphas)
        # Besides its purpose, this wait is a block boundary, which keeps the exponentials above the products.
        self.wait(self.barrier(V_FULL, stage), parity)
        outputs, sums = self.value_product(stage, packed, outputs, sums, alphas)
        self.arrive(self.barrier(V_EMPTY, stage))
        return [*outputs, *maxima, *sums]

    def score_product(self, stage):
        accumulator = []
        # Volatile: sixteen broadcast loads. Otherwise LLVM makes them one load and 60 moves.
        volatile = "volatile " if self.options.convert == "lds-magic" else ""
        for _ in range(16 if self.magic else 0):
            word = self.load(self.at("%smem", MAGIC_AT), "vector<4xi32>", SHARED, volatile, 16)
            accumulator += self.elements(word, 4, "i32")
        self.emit("nvvm.wgmma.fence.aligned")
        key = self.add(self.key_desc, self.mul(stage, self.i32(K_BYTES >> 4)))
        for k in range(0, HEAD_DIM, 32):
            accumulator = self.wgmma(KEY_TILE, ("s32", "s8", "s8"), accumulator,
                                     [self.descriptor_at(self.query_desc, k)], self.descriptor_at(key, k))
        self.emit("nvvm.wgmma.commit.group.sync.aligned")
        return self.wait_products(0, accumulator, "i32")

    def mask(self, scores, limits):
        """Element 4i+2r+e is key 8i+e (from the lane's column) of row r."""
        keys = self.const(f"dense<{[8 * (i >> 2) + (i & 1) for i in range(64)]}>", "vector<64xi32>")
        bounds = self.vector([limits[(i >> 1) & 1] for i in range(64)], "i32")
        outside = self.compare("sge", keys, bounds, "vector<64xi32>")
        # As bits of a float and as an integer alike, -2^31 is below every score.
        lowest = self.const(f"dense<{0xCF000000 - (1 << 32) if self.magic else -(1 << 31)}>", "vector<64xi32>")
        return self.value(f"arith.select {outside}, {lowest}, {scores} : vector<64xi1>, vector<64xi32>")

    def new_maxima(self, scores, maxima, factor):
        """Integer maxima (three-input instructions), then the lanes of a quad, then the running maximum."""
        element = self.elements(scores, 64, "i32")
        new, alphas, offsets = [], [], []
        for r in (0, 1):
            pair = [(element[4 * i + 2 * r], element[4 * i + 2 * r + 1]) for i in range(16)]
            chains = [self.max_i(*pair[i]) for i in range(4)]
            for i in range(4, 16):
                chains[i % 4] = self.max_i(self.max_i(chains[i % 4], pair[i][0]), pair[i][1])
            top = self.max_i(self.max_i(self.max_i(chains[0], chains[1]), chains[2]), chains[3])
            if self.magic:
                top = self.add_f(self.cast("bitcast", top, "i32", "f32"), self.f32(-MAGIC))
            else:
                top = self.cast("sitofp", top, "i32", "f32")
            top = self.mul_f(top, factor)
            for distance in (1, 2):
                other = self.value(f"nvvm.shfl.sync bfly {self.i32(-1)}, {top}, {self.i32(distance)}, "
                                   f"{self.i32(31)} : f32 -> f32")
                top = self.max_f(top, other)
            new.append(self.max_f(maxima[r], top))
            alphas.append(self.exp2(self.op("subf", maxima[r], new[r], "f32")))
            offset = self.op("subf", self.f32(LOG2_448), new[r], "f32")
            offsets.append(self.fma(self.f32(-MAGIC), factor, offset) if self.magic else offset)
        return new, alphas, offsets

    def exponentials(self, scores, factor, offsets, sums, alphas):
        """Scores to packed E4M3, in the order in which the product takes its A registers."""
        chunks = self.options.chunks or 1
        size = 64 // chunks
        cast = "bitcast" if self.magic else "sitofp"
        type = f"vector<{size}xf32>"
        factors = self.value(f"vector.broadcast {factor} : f32 to {type}")
        packed, first, row_sums = [], None, [[], []]
        for chunk in range(chunks):
            now = offsets
            if chunk:
                # p*0 + c: the assembler cannot move the chunk's multiply-adds above the last one's exponentials.
                now = [self.fma(first, self.f32(0), offset) for offset in offsets]
            part = self.slice(scores, 64, chunk * size, size, "i32") if chunks > 1 else scores
            part = self.cast(cast, part, f"vector<{size}xi32>", type)
            part = self.exp2(self.fma(part, factors, self.by_row(now, size), type), type)
            p = self.elements(part, size, "f32")
            first = p[0]
            for i in range(0, size, 8):
                packed += [self.pack(p[i], p[i + 1], p[i + 4], p[i + 5]),
                           self.pack(p[i + 2], p[i + 3], p[i + 6], p[i + 7])]
            for i in range(size if not self.ones else 0):
                chain = row_sums[(i >> 1) & 1]
                if len(chain) < 2:
                    chain.append(p[i])
                else:
                    chain[i & 1] = self.add_f(chain[i & 1], p[i])
        if not self.ones:
            sums = [self.fma(sums[r], alphas[r], self.add_f(*row_sums[r])) for r in (0, 1)]
        return packed, sums

    def pack(self, *p):
        # The op's first operand is the high byte.
        halves = [self.value(f"nvvm.convert.f32x2.to.f8x2 {high}, {low} {{rnd = #nvvm.fp_rnd_mode<rn>, "
                             f"sat = #nvvm.sat_mode<satfinite>}} : i16 (f8E4M3FN)")
                  for low, high in (p[0:2], p[2:4])]
        return self.value(f"llvm.bitcast {self.vector(halves, 'i16')} : vector<2xi16> to i32")

    def value_product(self, stage, packed, outputs, sums, alphas):
        """Fresh accumulators for this key tile; added to the float32 output as soon as each part is done."""
        parts = self.options.pv_halves
        channels = HEAD_DIM // parts
        value = self.add(self.value_desc, self.mul(stage, self.i32(V_STAGE >> 4)))
        self.emit("nvvm.wgmma.fence.aligned")
        fresh = []
        for part in range(parts):
            n = channels + (8 if self.ones and part == parts - 1 else 0)
            accumulator = None
            for k in range(0, KEY_TILE, 32):
                accumulator = self.wgmma(n, ("f32", "e4m3", "e4m3"), accumulator, packed[k // 8:k // 8 + 4],
                                         self.descriptor_at(value, part * channels * KEY_TILE + k))
            self.emit("nvvm.wgmma.commit.group.sync.aligned")
            fresh.append(accumulator)
        new_outputs = []
        for part in range(parts):
            last = part == parts - 1
            done = self.wait_products(parts - 1 - part, fresh[part], "f32", packed if last else ())
            count = channels // 2
            type = f"vector<{count}xf32>"
            new_outputs.append(self.fma(outputs[part], self.by_row(alphas, count),
                                        self.vector(done[:count], "f32"), type))
            if last and self.ones:
                sums = [self.fma(sums[r], alphas[r], done[count + 2 * r]) for r in (0, 1)]
        return new_outputs, sums

    def store_output(self, head, row, state):
        parts = self.options.pv_halves
        outputs, sums = state[:parts], list(state[parts + 2:])
        if not self.ones:
            for r in (0, 1):
                for distance in (1, 2):
                    other = self.value(f"nvvm.shfl.sync bfly {self.i32(-1)}, {sums[r]}, {self.i32(distance)}, "
                                       f"{self.i32(31)} : f32 -> f32")
                    sums[r] = self.add_f(sums[r], other)
        inverse = [self.op("divf", self.f32(1), total, "f32") for total in sums]
        element = [x for part in outputs for x in self.elements(part, 64 // parts, "f32")]
        scales = self.at("%value_scales", self.add(self.mul(head, self.i32(HEAD_DIM)), self.lane_column), GLOBAL, "f32")
        # 64-bit: the element index of the output may pass 2^31.
        token = self.op("addi", self.op("muli", *(self.cast("extui", x, "i32", "i64") for x in (head, "%tokens")),
                                        "i64"), self.cast("extui", row, "i32", "i64"), "i64")
        index = self.op("addi", self.op("muli", token, self.const(HEAD_DIM, "i64"), "i64"),
                        self.cast("extui", self.lane_column, "i32", "i64"), "i64")
        base = self.value(f"llvm.getelementptr %output[{index}] : ({GLOBAL}, i64) -> {GLOBAL}, f16")
        for r in (0, 1):
            to = self.at(base, 8 * r * HEAD_DIM, GLOBAL, "f16")

            def store_row():
                for i in range(16):
                    scale = self.load(self.at(scales, 8 * i, GLOBAL, "f32"), "vector<2xf32>", align=8)
                    pair = self.vector(element[4 * i + 2 * r:4 * i + 2 * r + 2], "f32")
                    total = self.vector([inverse[r]] * 2, "f32")
                    pair = self.op("mulf", self.op("mulf", pair, total, "vector<2xf32>"), scale, "vector<2xf32>")
                    half = self.cast("truncf", pair, "vector<2xf32>", "vector<2xf16>")
                    self.emit(f"llvm.store {half}, {self.at(to, 8 * i, GLOBAL, 'f16')} : vector<2xf16>, {GLOBAL}")
            self.if_then(self.compare("ult", self.add(row, self.i32(8 * r)), "%tokens"), store_row)

    # ---- the module ----

    def initialize(self):
        i32 = self.i32

        def by_one_thread():
            for offset, count, arrivals in ((Q_FULL, 1, 1), (Q_EMPTY, 1, 4 * CONSUMERS), (K_FULL, 2, 1),
                                            (K_EMPTY, 2, 4 * CONSUMERS), (V_FULL, 2, 1), (V_EMPTY, 2, 4 * CONSUMERS)):
                for stage in range(count):
                    self.emit(f"nvvm.mbarrier.init {self.barrier(offset + 8 * stage)}, {i32(arrivals)} : {SHARED}, i32")
            self.emit("nvvm.fence.mbarrier.init")
            magic = self.const(f"dense<{MAGIC_BITS}>", "vector<4xi32>")
            self.emit(f"llvm.store {magic}, {self.at('%smem', MAGIC_AT)} {{alignment = 16 : i64}} : vector<4xi32>, {SHARED}")
        self.if_then(self.compare("eq", "%thread", i32(0)), by_one_thread)
        # One word of ones per thread. Equal rows look the same under every swizzle.
        stage = self.op("shrui", "%thread", i32(8))
        word = self.op("andi", "%thread", i32(255))
        to = self.at(self.at("%smem", V_AT + V_BYTES),
                     self.add(self.mul(stage, i32(V_STAGE)), self.mul(word, i32(4))))
        self.emit(f"llvm.store {i32(0x38383838)}, {to} : i32, {SHARED}")
        self.emit("nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}")
        self.emit("nvvm.barrier0")

    def module(self):
        self.name("thread", self.value("nvvm.read.ptx.sreg.tid.x : i32"))
        self.name("block", self.value("nvvm.read.ptx.sreg.ctaid.x : i32"))
        self.name("grid", self.value("nvvm.read.ptx.sreg.nctaid.x : i32"))
        self.name("smem", self.value(f"llvm.mlir.addressof @smem : {SHARED}"))
        self.initialize()
        self.name("query_tiles", self.ceil_div("%tokens", QUERY_TILE))
        self.name("key_tiles", self.ceil_div("%tokens", KEY_TILE))
        self.name("tiles", self.mul("%query_tiles", "%heads"))
        # The shuffle tells the assembler that the group is uniform in a warp: what derives from it (the
        # descriptors of Q) then stays in uniform registers instead of taking eight of the 160.
        group = self.op("shrui", "%thread", self.i32(7))
        self.name("group", self.value(f"nvvm.shfl.sync idx {self.i32(-1)}, {group}, {self.i32(0)}, {self.i32(31)} "
                                      f": i32 -> i32"))
        self.if_then(self.compare("eq", "%group", self.i32(0)), self.producer, self.consumer)
        self.emit("llvm.return")

        options = self.options
        persistent = int(options.grid == "persistent")
        config = [HEAD_DIM, KEY_TILE, QUERY_TILE, THREADS, SHARED_BYTES, int(options.causal), persistent,
                  int(options.causal), CAUSAL_HEAD_GROUP, KEY_TILE] + [0] * 6
        tensor_map = "!llvm.ptr {llvm.byval = !llvm.array<128 x i8>, llvm.align = 64 : i64, nvvm.grid_constant}"
        read = f"{GLOBAL} {{llvm.noalias, llvm.readonly, llvm.align = 16 : i64}}"
        constants = [f"    {name} = {text}" for text, name in self.constants.items()]
        return "\n".join([
            "gpu.module @attention [#nvvm.target<chip = \"sm_90a\", features = \"+ptx86\", O = 3>] {",
            "  // head dim, key tile, query tile, threads, shared bytes, causal, persistent, order, head group, V box",
            f"  llvm.mlir.global external constant @cfg(dense<{config}> : tensor<16xi32>)"
            " {addr_space = 1 : i32} : !llvm.array<16 x i32>",
            "  llvm.mlir.global external @smem() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>",
            f"  llvm.func @attn(%query_map: {tensor_map},",
            f"      %key_map: {tensor_map},",
            f"      %value_map: {tensor_map},",
            f"      %query_scales: {read}, %key_scales: {read},",
            f"      %value_scales: {read},",
            f"      %output: {GLOBAL} {{llvm.noalias, llvm.align = 16 : i64}}, %unused: {GLOBAL},",
            f"      %tokens: i32, %heads: i32, %scale_log2e: f32, %clk: {GLOBAL} {{llvm.align = 8 : i64}})",
            f"      attributes {{gpu.kernel, nvvm.kernel, nvvm.maxntid = array<i32: {THREADS}>, nvvm.minctasm = 1 : i32,",
            "                  denormal_fp_math_f32 = \"preserve-sign,preserve-sign\"} {",
            *constants, *self.lines, "  }", "}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row-sum", choices=["ones", "float"], default="ones",
                        help="row sums from a column of ones beside V, or added from the float P")
    parser.add_argument("--convert", choices=["i2f", "lds-magic", "mov-magic"], default="mov-magic",
                        help="scores to float by conversion, or by starting the accumulators at 1.5 * 2^23 "
                             "(loaded from shared memory, or moved from four registers)")
    parser.add_argument("--chunks", type=int, choices=[0, 8], default=8,
                        help="chained chunks of the exponential stage; 0: none")
    parser.add_argument("--pv-halves", type=int, choices=[1, 2], default=2,
                        help="parts of the head dim that the P.V product is issued in")
    parser.add_argument("--causal", action="store_true", help="causal mask, longest rows first")
    parser.add_argument("--grid", choices=["persistent", "one-per-tile"], default="persistent")
    parser.add_argument("--pipeline", action="store_true", help="print the pass pipeline down to PTX and exit")
    options = parser.parse_args()
    print(PIPELINE if options.pipeline else Kernel(options).module())


if __name__ == "__main__":
    main()
