"""torch.compile without graph breaks, CUDA graphs, streams, threads: what surrounds a call in a program."""
import threading
import time

from report import Report, relative_l1

import torch
import torch.nn.functional as F

import sage
import sage.torch

BOUND = 0.08


def inputs(n=640, heads=4, d=64, dtype=torch.float16, batch=2):
    return [torch.randn(batch, heads, n, d, device="cuda", dtype=dtype) for _ in range(3)]


def compiled(report):
    def block(q, k, v, mask):
        a = sage.torch.scaled_dot_product_attention(q * 0.5, k, v, is_causal=True)
        b = sage.torch.scaled_dot_product_attention(a + q, k[:, :2], v[:, :2], attn_mask=mask, enable_gqa=True)
        c, lse = sage.torch.sageattn(b.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), "NHD", return_lse=True)
        return torch.relu(c) + 1, lse

    q, k, v = inputs()
    mask = torch.rand(640, 640, device="cuda") < 0.8
    wanted = block(q, k, v, mask)
    for name, options in (("default", {}), ("reduce-overhead", {"mode": "reduce-overhead"}), ("dynamic shapes", {"dynamic": True})):
        torch._dynamo.reset()
        function = torch.compile(block, fullgraph=True, **options)
        for _ in range(3):
            got = [part.clone() for part in function(q, k, v, mask)]
        error = max(relative_l1(a, b) for a, b in zip(got, wanted))
        report.check(f"torch.compile(fullgraph=True), {name}", error < 0.03, f"relative L1 {error} of the eager result")
        if name == "dynamic shapes":
            small = [t[:, :, :300] for t in (q, k, v)]
            again = function(*small, mask[:300, :300])
            eager = block(*small, mask[:300, :300])
            report.check("the same compiled function at another length", relative_l1(again[0], eager[0]) < 0.03)
    breaks = torch._dynamo.explain(block)(q, k, v, mask)
    report.check("no graph breaks", breaks.graph_break_count == 0, breaks.break_reasons)


def opcheck(report):
    q, k, v = inputs(100)
    for token_major in (False, True):
        found = torch.library.opcheck(torch.ops.sage.attention.default,
                                      (q, k, v, None, None, None, None, "none", 0.125, "auto", token_major))
        report.check(f"torch.library.opcheck, token_major={token_major}", set(found.values()) == {"SUCCESS"}, found)


def graphs(report):
    """Captured once, replayed with other inputs: the same bits as a call on them."""
    def call(q, k, v, mask):
        a = sage.torch.scaled_dot_product_attention(q, k, v, is_causal=True)
        return sage.torch.scaled_dot_product_attention(a, k, v, attn_mask=mask), sage.torch.sageattn(q, k, v)

    q, k, v = inputs()
    mask = torch.rand(640, 640, device="cuda") < 0.8
    call(q, k, v, mask)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = call(q, k, v, mask)
    for turn in range(5):
        for tensor in (q, k, v):
            tensor.copy_(torch.randn_like(tensor))
        mask.copy_(torch.rand(640, 640, device="cuda") < 0.6)
        graph.replay()
        replayed = [part.clone() for part in captured]
        wanted = call(q, k, v, mask)
        report.check(f"replay {turn}", all(torch.equal(a, b) for a, b in zip(replayed, wanted)),
                     [relative_l1(a, b) for a, b in zip(replayed, wanted)])
    exact = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    report.check("the last replay is attention", relative_l1(replayed[1], exact) < BOUND)


def first_call_in_a_capture(report):
    q = torch.randn(1, 2, 64, 256, device="cuda", dtype=torch.bfloat16)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            sage.torch.scaled_dot_product_attention(q, q, q, recipe="f16")
        report.check("loading code during a capture is refused", False, "it was accepted")
    except sage.DeviceError as error:
        report.check("loading code during a capture is refused", "before the capture" in str(error), error)
    torch.cuda.synchronize()
    got = sage.torch.scaled_dot_product_attention(q, q, q, recipe="f16")
    report.check("and works afterwards", relative_l1(got, F.scaled_dot_product_attention(q.double(), q.double(), q.double())) < 0.02)


def side_stream(report):
    """On a stream that is kept busy: inputs made there are seen, and the call does not wait."""
    q, k, v = inputs(1024)
    sage.torch.scaled_dot_product_attention(q, k, v)
    stream = torch.cuda.Stream()
    for turn in range(10):
        fresh = [torch.randn_like(tensor) for tensor in (q, k, v)]
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            torch.cuda._sleep(100_000_000)  # some 50 ms
            begin = time.perf_counter()
            late = [tensor * 1.0 for tensor in fresh]
            got = sage.torch.scaled_dot_product_attention(*late)
            seconds = time.perf_counter() - begin
            idle = stream.query()
        torch.cuda.current_stream().wait_stream(stream)
        wanted = F.scaled_dot_product_attention(*(tensor.double() for tensor in fresh))
        report.check(f"side stream {turn}", relative_l1(got, wanted) < BOUND)
        report.check(f"side stream {turn} did not wait", seconds < 0.02 and not idle, f"{seconds} s, idle {idle}")
    other = torch.cuda.Stream()
    got = sage.attention(q, k, v, stream=other.cuda_stream)
    other.synchronize()
    report.check("stream= of sage.attention", relative_l1(got, F.scaled_dot_product_attention(q.double(), k.double(), v.double())) < BOUND)


def plans(report):
    """A call that was made before is not checked again: what it depends on besides its shapes still counts."""
    q, k, v = inputs()
    wanted = sage.torch.scaled_dot_product_attention(q, k, v)
    report.check("again", torch.equal(sage.torch.scaled_dot_product_attention(q, k, v), wanted))
    other = inputs()
    exact = F.scaled_dot_product_attention(*(t.double() for t in other))
    report.check("other tensors", relative_l1(sage.torch.scaled_dot_product_attention(*other), exact) < BOUND)
    for name, tensors, named in (("gradient", (q.clone().requires_grad_(), k, v), {}), ("is_causal=1", (q, k, v), {"is_causal": 1}),
                                 ("dropout", (q, k, v), {"dropout_p": 0.5}), ("scale", (q, k, v), {"scale": True})):
        try:
            sage.torch.scaled_dot_product_attention(*tensors, **named)
            report.check(f"still refused: {name}", False, "it was accepted")
        except sage.SageError as error:
            report.check(f"still refused: {name}", True, error)
    with torch.autocast("cuda", torch.bfloat16):
        for _ in range(2):
            report.check("still cast", sage.torch.scaled_dot_product_attention(q, k, v).dtype == torch.bfloat16)
            half = [t.bfloat16() for t in (q, k, v)]
            report.check("cast already", sage.torch.scaled_dot_product_attention(*half).dtype == torch.bfloat16)
    mask = torch.rand(640, 640, device="cuda") < 0.5
    for turn in range(3):
        mask = torch.rand(640, 640, device="cuda") < 0.5
        got = sage.torch.scaled_dot_product_attention(q, k, v, mask)
        report.check(f"mask {turn}", relative_l1(got, F.scaled_dot_product_attention(q.double(), k.double(), v.double(), mask)) < BOUND)
    for layout in ("HND", "NHD"):
        tensors = [t.transpose(1, 2).contiguous() if layout == "NHD" else t for t in (q, k, v)]
        first = sage.torch.sageattn(*tensors, layout, return_lse=True)
        second = sage.torch.sageattn(*tensors, layout, return_lse=True)
        report.check(f"sageattn {layout}", all(torch.equal(a, b) and a.stride() == b.stride() for a, b in zip(first, second)))


def workspaces(report):
    """The allocator's memory is used again in the stream's order: many calls in flight do not disturb one another."""
    sets = [inputs(256 + 64 * i, batch=1) for i in range(6)]
    wanted = [sage.torch.scaled_dot_product_attention(*tensors) for tensors in sets]
    streams = [torch.cuda.Stream() for _ in range(3)]
    torch.cuda.synchronize()
    results = []
    for turn in range(60):
        with torch.cuda.stream(streams[turn % 3]):
            results.append((turn % 6, sage.torch.scaled_dot_product_attention(*sets[turn % 6])))
    torch.cuda.synchronize()
    report.check("60 calls on three streams", all(torch.equal(got, wanted[i]) for i, got in results))


def threads(report):
    wanted, failures = {}, []
    sets = {name: [inputs(n, d=d) for n in (300, 700)] for name, (n, d) in enumerate(((0, 64), (1, 128)))}
    for name, pair in sets.items():
        wanted[name] = [sage.torch.scaled_dot_product_attention(*tensors) for tensors in pair]
    torch.cuda.synchronize()

    def work(name):
        stream = torch.cuda.Stream()
        try:
            with torch.cuda.stream(stream):
                for turn in range(100):
                    got = sage.torch.scaled_dot_product_attention(*sets[name][turn % 2])
                    kind = sage.torch.sageattn(*sets[name][turn % 2], is_causal=turn % 3 == 0)
                    stream.synchronize()
                    if not torch.equal(got, wanted[name][turn % 2]) or not torch.isfinite(kind).all():
                        failures.append((name, turn))
        except Exception as error:  # noqa: BLE001
            failures.append((name, error))

    workers = [threading.Thread(target=work, args=(name,)) for name in sets]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    report.check("two threads, 100 calls each", not failures, failures[:3])


def varlen(report):
    lengths, key_lengths = [100, 1, 0, 333], [80, 20, 5, 333]
    starts = torch.tensor([0, 100, 101, 101, 434], dtype=torch.int32, device="cuda")
    key_starts = torch.tensor([0, 80, 100, 105, 438], dtype=torch.int32, device="cuda")
    q = torch.randn(434, 4, 128, device="cuda", dtype=torch.bfloat16)
    k, v = (torch.randn(438, 2, 128, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    got = sage.torch.sageattn_varlen(q, k, v, starts, key_starts, max(lengths), max(key_lengths))
    worst = 0.0
    for i, (n, m) in enumerate(zip(lengths, key_lengths)):
        part = lambda t, offsets, count: t[offsets[i]:offsets[i] + count].transpose(0, 1)[None].double()
        wanted = F.scaled_dot_product_attention(part(q, starts, n), part(k, key_starts, m), part(v, key_starts, m), enable_gqa=True)
        worst = max(worst, relative_l1(part(got, starts, n), wanted))
    report.check("sageattn_varlen", worst < BOUND, worst)
    q, k, v = inputs(200)
    lengths = torch.tensor([150, 7], dtype=torch.int32, device="cuda")
    got = sage.attention(q, k, v, key_lengths=lengths)
    mask = torch.arange(200, device="cuda")[None, None, None] < lengths[:, None, None, None]
    report.check("key_lengths", relative_l1(got, F.scaled_dot_product_attention(q.double(), k.double(), v.double(), mask)) < BOUND)


def main():
    torch.manual_seed(0)
    report = Report()
    for section in (opcheck, plans, graphs, first_call_in_a_capture, side_stream, workspaces, threads, varlen, compiled):
        report.section(section)
    report.finish()


if __name__ == "__main__":
    main()
