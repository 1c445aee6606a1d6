"""cuDNN's FP8 attention through its front end, one head at a time, so that each has scales of its own."""
import torch

from .formats import E4M3_MAX

#: P reaches 1; cuDNN's own examples leave room below the end of the format.
_PROBABILITY_RANGE = 256.0


class CudnnFp8:
    """Called as Model.forward's attention. A graph is built for each number of tokens, and kept."""

    def __init__(self):
        self.graphs = {}

    def __call__(self, layer, query, key, value):
        group = query.shape[0] // key.shape[0]
        quantized = [[self._quantize(head) for head in x] for x in (query, key, value)]
        output = torch.empty_like(query)
        for head in range(query.shape[0]):
            of_key = head // group
            output[head] = self._attend(quantized[0][head], quantized[1][of_key], quantized[2][of_key])
        return output

    @staticmethod
    def _quantize(head):
        """[1, 1, tokens, D] in E4M3, and its scale."""
        limit = head.abs().amax()
        return (head * (E4M3_MAX / limit)).to(torch.float8_e4m3fn)[None, None], limit / E4M3_MAX

    def _attend(self, query, key, value):
        shapes = query[0].shape, key[0].shape
        if shapes not in self.graphs:
            self.graphs[shapes] = self._build(query[0], key[0])
        graph, names, out, workspace, maxima = self.graphs[shapes]
        # O is a mean of V: its scale may be V's.
        factors = [query[1], key[1], value[1], torch.tensor(1 / _PROBABILITY_RANGE), torch.tensor(_PROBABILITY_RANGE), 1 / value[1]]
        factors = [factor.reshape(1, 1, 1, 1).float().to(out.device) for factor in factors]
        graph.execute(dict(zip(names, [query[0], key[0], value[0], out, *maxima, *factors])), workspace)
        return out[0, 0].float() * value[1]

    @staticmethod
    def _build(query, key):
        import cudnn
        fp8, f32 = cudnn.data_type.FP8_E4M3, cudnn.data_type.FLOAT
        graph = cudnn.pygraph(io_data_type=fp8, intermediate_data_type=f32, compute_data_type=f32)
        tensor = lambda t: graph.tensor(dim=list(t.shape), stride=list(t.stride()), data_type=fp8)
        scalar = lambda: graph.tensor(dim=[1, 1, 1, 1], stride=[1, 1, 1, 1], data_type=f32)
        q, k, v, factors = tensor(query), tensor(key), tensor(key), [scalar() for _ in range(6)]
        descale_q, descale_k, descale_v, descale_s, scale_s, scale_o = factors
        o, _, amax_s, amax_o = graph.sdpa_fp8(
            q=q, k=k, v=v, descale_q=descale_q, descale_k=descale_k, descale_v=descale_v, descale_s=descale_s, scale_s=scale_s,
            scale_o=scale_o, is_inference=True, attn_scale=query.shape[-1] ** -0.5, use_causal_mask=True)
        out = torch.empty_like(query)
        o.set_output(True).set_dim(list(out.shape)).set_stride(list(out.stride())).set_data_type(fp8)
        for amax in (amax_s, amax_o):
            amax.set_output(True).set_dim([1, 1, 1, 1]).set_stride([1, 1, 1, 1]).set_data_type(f32)
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A])
        graph.check_support()
        graph.build_plans()
        workspace = torch.empty(graph.get_workspace_size(), dtype=torch.uint8, device=out.device)
        maxima = [torch.empty(1, 1, 1, 1, device=out.device) for _ in range(2)]
        return graph, [q, k, v, o, amax_s, amax_o, *factors], out, workspace, maxima
