"""Exact attention, and how far an output is from it: cosine similarity, relative L1, root mean square error."""
import numpy as np

#: By metric, which of two is worse.
METRICS = {"cosine": min, "relative_l1": max, "rmse": max}


def exact_attention(query, key, value, rows, causal=False, scale=None):
    """float64 attention of the query rows `rows` (indices); [heads, tokens, head dim], O [heads, rows, head dim of V]."""
    group, queries, keys = query.shape[0] // key.shape[0], query.shape[1], key.shape[1]
    scale = float(np.float32(query.shape[2]**-0.5 if scale is None else scale))
    last = int(rows.max()) + keys - queries + 1 if causal else keys
    output = np.empty((query.shape[0], len(rows), value.shape[2]))
    for head in range(query.shape[0]):
        k, v = (x[head // group, :last].astype(np.float64) for x in (key, value))
        scores = query[head, rows].astype(np.float64) @ k.T * scale
        if causal:
            scores[np.arange(last) > (rows + keys - queries)[:, None]] = -np.inf
        scores -= scores.max(axis=1, keepdims=True)
        p = np.exp(scores, out=scores)
        output[head] = p @ v / p.sum(axis=1, keepdims=True)
    return output


def sums_of(got, wanted):
    """[heads, 7]: what the metrics need, so that those of several heads and layers can be added."""
    got, wanted = (x.reshape(x.shape[0], -1).astype(np.float64) for x in (got, wanted))
    difference = got - wanted
    return np.stack([np.full(len(got), float(got.shape[1])), np.abs(difference).sum(1), np.abs(wanted).sum(1),
                     np.square(difference).sum(1), (got * wanted).sum(1), np.square(got).sum(1), np.square(wanted).sum(1)], 1)


def metrics_of(sums):
    """The metrics of sums [..., 7], by name; arrays [...]."""
    count, differences, magnitudes, squares, product, got, wanted = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    return {"cosine": product / np.sqrt(got * wanted), "relative_l1": differences / magnitudes,
            "rmse": np.sqrt(squares / count)}


def statistics_of(data):
    """What decides which technique helps, means of heads: the largest bias of a channel over the spread of its head (Q, K, V);
    the probability of the first key; that of all keys that INT8 stores as 0; the norm of the first value over the median."""
    def bias(x):
        x = x.astype(np.float32)
        return float((np.abs(x.mean(axis=1)).max(axis=1) / x.std(axis=1).mean(axis=1)).mean())

    rows = data.rows()[::8]
    group, first, small = data.query.shape[0] // data.key.shape[0], [], []
    for head in range(data.query.shape[0]):
        scores = data.query[head, rows].astype(np.float32) @ data.key[head // group].astype(np.float32).T
        scores *= np.float32(data.query.shape[2]**-0.5)
        if data.causal:
            scores[np.arange(scores.shape[1]) > rows[:, None]] = -np.inf
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        total = p.sum(axis=1)
        first.append((p[:, 0] / total).mean())
        small.append((np.where(p < 0.5 / 127, p, 0).sum(axis=1) / total).mean())
    norms = np.linalg.norm(data.value.astype(np.float32), axis=2)
    return {"bias of Q": bias(data.query), "bias of K": bias(data.key), "bias of V": bias(data.value),
            "P of the first key": float(np.mean(first)), "P that INT8 stores as 0": float(np.mean(small)),
            "norm of the first value": float((norms[:, 0] / np.median(norms, axis=1)).mean())}
