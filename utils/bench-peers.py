#!/usr/bin/env python3
"""Times the attention that PyTorch offers on this machine, counted and written as sage-bench does.

  bench-peers.py [--json=FILE] [--shape=B,Hq,Hkv,Nq,Nk]... [--head-dim=D]... [--only=REGEX] [--passes=N]

scaled_dot_product_attention in float16 with the flash, cuDNN and memory-efficient backends ("total": 16-bit tensors in and
out), and cuDNN's FP8 attention where its Python front end is installed ("kernel": its inputs are FP8 already). Inputs are
N(0,1), two sets in turn; every provider in turn, several passes; events between launches; the SM clock is NVML's. Some rows
of each output are compared with float64. Without --shape: 4 batches of 32 heads at 1K to 8K tokens, 1 batch at 16K and 32K;
without --head-dim 64 and 128; each with and without a causal mask. What a backend refuses is a line on standard error.
Exit status: 0, 1 if a provider's output is wrong, 2 for wrong usage, 77 without PyTorch or a GPU.
"""
import argparse
import datetime
import json
import math
import re
import statistics
import sys
import threading
import time

SHAPES = ["4,32,32,1024,1024", "4,32,32,2048,2048", "4,32,32,4096,4096", "4,32,32,8192,8192", "1,32,32,16384,16384",
          "1,32,32,32768,32768"]
INPUT_SETS = 2
WARM_UPS = 5
LEAST_MS, MOST_LAUNCHES = 50, 400
SAMPLED_ROWS = 48
#: Of sampled rows against float64, on N(0,1).
L1_LIMITS = {"f16": 0.005, "e4m3": 0.15}


def unavailable(why):
    print(f"bench-peers: {why}", file=sys.stderr)
    sys.exit(77)


def import_torch():
    try:
        import torch
    except ImportError as error:
        unavailable(f"PyTorch cannot be imported ({error})\n  remedy: run it with the python that has PyTorch")
    if not torch.cuda.is_available():
        unavailable("PyTorch finds no GPU\n  remedy: run it where a CUDA driver and a GPU are")
    return torch


class Clock:
    """The SM clock, about every millisecond; the median is None without NVML."""

    def __init__(self):
        self.samples, self.running = [], True
        try:
            import pynvml
            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByIndex(0)
            self.read = lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)
        except Exception:  # whatever NVML's binding lacks here
            self.read = None

    def __enter__(self):
        self.samples, self.running = [], True
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.thread.join()

    def sample(self):
        while self.running and self.read:
            self.samples.append(self.read())
            time.sleep(0.001)

    def median(self):
        return statistics.median(self.samples) if self.samples else None


class Peer:
    """What is timed: `prepare` makes what one launch needs of an input set, `launch` enqueues it and returns O."""

    def __init__(self, provider, scope, element, prepare, launch):
        self.provider, self.scope, self.element = provider, scope, element
        self.prepare, self.launch = prepare, launch


def pytorch_peers(torch):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention

    def make(name, backend):
        def launch(tensors, causal):
            q, k, v = tensors
            with sdpa_kernel(backend):
                return scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1])
        return Peer(name, "total", "f16", lambda tensors, causal: tensors, launch)

    backends = [("pytorch-flash", "FLASH_ATTENTION"), ("pytorch-cudnn", "CUDNN_ATTENTION"),
                ("pytorch-efficient", "EFFICIENT_ATTENTION")]
    return [make(name, getattr(SDPBackend, backend)) for name, backend in backends if hasattr(SDPBackend, backend)]


def cudnn_fp8_peer(torch):
    """Per-tensor scales, as the front end's sdpa_fp8 has them; None where it is not installed."""
    try:
        import cudnn
    except ImportError as error:
        print(f"bench-peers: no cuDNN FP8: its front end cannot be imported ({error})\n"
              "  remedy: install nvidia-cudnn-frontend", file=sys.stderr)
        return None

    def quantize(tensor):
        scale = tensor.abs().amax().float() / 448
        return (tensor.float() / scale).to(torch.float8_e4m3fn), scale

    def build(tensors, causal):
        (q8, q_scale), (k8, k_scale), (v8, v_scale) = map(quantize, tensors)
        out = torch.empty(q8.shape, dtype=torch.float8_e4m3fn, device="cuda")
        graph = cudnn.pygraph(io_data_type=cudnn.data_type.FP8_E4M3, intermediate_data_type=cudnn.data_type.FLOAT,
                              compute_data_type=cudnn.data_type.FLOAT)
        tensor = lambda t: graph.tensor(dim=list(t.shape), stride=list(t.stride()), data_type=cudnn.data_type.FP8_E4M3)
        scalar = lambda: graph.tensor(dim=[1, 1, 1, 1], stride=[1, 1, 1, 1], data_type=cudnn.data_type.FLOAT)
        q, k, v = tensor(q8), tensor(k8), tensor(v8)
        factors = [scalar() for _ in range(6)]
        # P reaches 1: scaled to the end of e4m3's range. O is a mean of N(0,1) values.
        out_scale = 64.0
        values = [q_scale, k_scale, v_scale, torch.tensor(1 / 256.0), torch.tensor(256.0), torch.tensor(out_scale)]
        values = [value.reshape(1, 1, 1, 1).float().cuda() for value in values]
        o, _, amax_s, amax_o = graph.sdpa_fp8(
            q=q, k=k, v=v, descale_q=factors[0], descale_k=factors[1], descale_v=factors[2], descale_s=factors[3],
            scale_s=factors[4], scale_o=factors[5], is_inference=True, attn_scale=1 / math.sqrt(q8.shape[-1]),
            use_causal_mask=causal)
        o.set_output(True).set_dim(list(out.shape)).set_stride(list(out.stride())).set_data_type(cudnn.data_type.FP8_E4M3)
        maxima = [torch.empty(1, 1, 1, 1, device="cuda") for _ in range(2)]
        for amax in (amax_s, amax_o):
            amax.set_output(True).set_dim([1, 1, 1, 1]).set_stride([1, 1, 1, 1]).set_data_type(cudnn.data_type.FLOAT)
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A])
        graph.check_support()
        graph.build_plans()
        pack = {q: q8, k: k8, v: v8, o: out, amax_s: maxima[0], amax_o: maxima[1], **dict(zip(factors, values))}
        workspace = torch.empty(graph.get_workspace_size(), dtype=torch.uint8, device="cuda")
        return graph, pack, workspace, out, out_scale

    def launch(built, causal):
        graph, pack, workspace, out, out_scale = built
        graph.execute(pack, workspace)
        return out.view(torch.float8_e4m3fn), out_scale

    return Peer("cudnn-fp8", "kernel", "e4m3", build, launch)


def relative_l1(torch, output, tensors, causal):
    """Of some rows against float64."""
    output, scale = output if isinstance(output, tuple) else (output, 1.0)
    q, k, v = tensors
    generator = torch.Generator().manual_seed(1)
    error = total = 0.0
    for _ in range(SAMPLED_ROWS):
        b, h, n = (int(torch.randint(extent, (1,), generator=generator)) for extent in q.shape[:3])
        kv_head = h // (q.shape[1] // k.shape[1])
        seen = n + 1 if causal else k.shape[2]
        keys, values = k[b, kv_head, :seen].double(), v[b, kv_head, :seen].double()
        exact = torch.softmax(keys @ q[b, h, n].double() / math.sqrt(q.shape[-1]), 0) @ values
        error += float((output[b, h, n].double() / scale - exact).abs().sum())
        total += float(exact.abs().sum())
    return error / total


def time_launches(torch, clock, peer, sets, causal, least):
    def chain(count):
        events = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]
        events[0].record()
        for i in range(count):
            peer.launch(sets[i % len(sets)], causal)
            events[i + 1].record()
        events[-1].synchronize()
        return [begin.elapsed_time(end) for begin, end in zip(events, events[1:])]

    warm = chain(WARM_UPS)
    count = min(max(int(least / max(statistics.median(warm), 1e-3)), 1), MOST_LAUNCHES)
    with clock:
        times = chain(count)
    return times, clock.median()


def quantile(times, fraction):
    times = sorted(times)
    place = fraction * (len(times) - 1)
    below = int(place)
    above = min(below + 1, len(times) - 1)
    return times[below] + (place - below) * (times[above] - times[below])


def operations(shape, head_dim, causal):
    """4·B·H·Nq·Nk·D, halved for causal."""
    batch, heads, _, queries, keys = shape
    return 4 * batch * heads * queries * keys * head_dim / (2 if causal else 1)


def make_row(peer, shape, head_dim, causal, times, clocks, l1):
    median = statistics.median(times)
    row = {"provider": peer.provider, "name": f"{peer.provider}-d{head_dim}-{'causal' if causal else 'none'}",
           "scope": peer.scope, "recipe": None, "chip": None, "element_type": peer.element,
           "mask": "causal_top_left" if causal else "none", "head_dim": head_dim, "value_head_dim": head_dim, "shape": shape,
           "tflops": operations(shape, head_dim, causal) / median * 1e-9, "median_ms": median, "p10_ms": quantile(times, 0.1),
           "p90_ms": quantile(times, 0.9), "sm_clock_mhz": int(statistics.median(clocks)) if clocks else None,
           "launches": len(times), "relative_l1": l1}
    if not l1 <= L1_LIMITS[peer.element]:
        row["error"] = f"the output is wrong: relative L1 must be at most {L1_LIMITS[peer.element]}, but is {l1:.4f}"
    return row


def bench(torch, clock, peers, shape, head_dim, causal, options):
    batch, heads, kv_heads, queries, keys = shape
    draw = lambda h, n: torch.randn(batch, h, n, head_dim, device="cuda", dtype=torch.float16)
    inputs = [(draw(heads, queries), draw(kv_heads, keys), draw(kv_heads, keys)) for _ in range(INPUT_SETS)]
    running = {}
    for peer in peers:
        try:
            sets = [peer.prepare(tensors, causal) for tensors in inputs]
            l1 = relative_l1(torch, peer.launch(sets[0], causal), inputs[0], causal)
            running[peer.provider] = (peer, sets, l1, [], [])
        except Exception as error:  # a backend says in its own way that it cannot
            reason = str(error).strip().splitlines()
            print(f"bench-peers: {peer.provider} refuses {shape}, D {head_dim}, causal {causal}: "
                  f"{reason[0] if reason else type(error).__name__}", file=sys.stderr)
    for _ in range(options.passes):
        for peer, sets, _, times, clocks in running.values():
            more, megahertz = time_launches(torch, clock, peer, sets, causal, LEAST_MS / options.passes)
            times += more
            clocks += [megahertz] if megahertz else []
    return [make_row(peer, shape, head_dim, causal, times, clocks, l1) for peer, _, l1, times, clocks in running.values()]


def parse_shape(text):
    parts = text.split(",")
    if len(parts) != 5 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError("must be B,Hq,Hkv,Nq,Nk: five integers of at least 1")
    return [int(part) for part in parts]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--shape", action="append", type=parse_shape)
    parser.add_argument("--head-dim", action="append", type=int)
    parser.add_argument("--only", default="", help="regular expression of providers")
    parser.add_argument("--passes", type=int, default=3)
    options = parser.parse_args()
    torch = import_torch()
    peers = [*pytorch_peers(torch), cudnn_fp8_peer(torch)]
    peers = [peer for peer in peers if peer and re.search(options.only, peer.provider)]
    rows, clock = [], Clock()
    for shape in options.shape or map(parse_shape, SHAPES):
        for head_dim in options.head_dim or [64, 128]:
            for causal in (False, True):
                for row in bench(torch, clock, peers, shape, head_dim, causal, options):
                    rows.append(row)
                    print(f"{row['provider']:18} D {head_dim:3}  {row['mask']:15} {','.join(map(str, shape)):24} {row['scope']:6} "
                          f"{row['tflops']:8.1f} TFLOP/s  {row['median_ms']:.4f} ms  {row['sm_clock_mhz']} MHz  "
                          f"rel. L1 {row['relative_l1']:.4f}  {row.get('error', '')}", flush=True)
    properties = torch.cuda.get_device_properties(0)
    results = {"version": 1, "tool": "bench-peers", "date": datetime.date.today().isoformat(),
               "device": {"name": properties.name, "compute_capability": f"{properties.major}.{properties.minor}",
                          "multiprocessors": properties.multi_processor_count, "stub": False},
               "runtime": f"PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}", "copy_gb_s": None, "rows": rows}
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
    return 1 if any("error" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
