"""Many small things that people do with tensors."""

import numpy as np
import torch


def main(record, fill):
    rng = np.random.default_rng(0)
    f = lambda *s: torch.from_numpy(rng.standard_normal(s).astype("float32"))
    a, b, c = f(3, 4), f(4, 5), f(2, 3, 4)
    E = torch.einsum
    for eq, ops in [
        ("ij,jk->ik", (a, b)),
        ("ij,jk", (a, b)),
        ("bij,jk->bik", (c, b)),
        ("...ij,jk->...ik", (c, b)),
        ("ii->i", (f(3, 3),)),
        ("ii", (f(3, 3),)),
        ("ij->", (a,)),
        ("ij->j", (a,)),
        ("i,j->ij", (f(3), f(4))),
        ("bij,bkj->bik", (c, f(2, 5, 4))),
        ("bhid,bhjd->bhij", (f(2, 2, 3, 4), f(2, 2, 5, 4))),
        ("ab,bc,cd->ad", (a, b, f(5, 2))),
        ("b...,b...->b", (f(2, 3), f(2, 3))),
        ("ijk->kji", (c,)),
        ("a i j, a j -> a i", (c, f(2, 4))),
        ("Bij,ij->B", (c, f(3, 4))),
        ("...ii->...i", (f(2, 3, 3),)),
        ("nchw,c->nhw", (f(2, 3, 2, 2), f(3))),
        ("bsd,hdk->bhsk", (f(2, 3, 4), f(2, 4, 5))),
    ]:
        record("einsum " + eq, E(eq, *ops))
    record("sublist", E(a, [0, 1], b, [1, 2], [0, 2]))
    record("list", E("ij,jk->ik", [a, b]))
    x = torch.arange(60).reshape(3, 4, 5)
    i, j = torch.tensor([0, 2]), torch.tensor([1, 3])
    m = x % 2 == 0
    for n, v in {
        "int": x[1],
        "neg": x[-1, -2],
        "sl": x[:, 1:3],
        "step": x[::2, ::-1] if False else x[::2],
        "ell": x[..., 0],
        "none": x[None, :, None],
        "ii": x[i, j],
        "i:": x[i],
        ":i": x[:, i],
        "i:j": x[i, :, j],
        ":ij": x[:, i, j],
        "grid": x[i[:, None], j],
        "mask": x[m],
        "mask2": x[x > 30],
        "rowmask": x[torch.tensor([True, False, True])],
        "list": x[[0, 2]],
        "lists": x[[0, 2], [1, 3]],
        "tuple": x[(0, 1)],
        "np": x[np.array([0, 1])],
        "mix": x[1, [0, 2], ::2],
        "tr": x[True],
        "emp": x[torch.tensor([], dtype=torch.long)],
        "take": torch.take(x, torch.tensor([0, 59])),
        "tad": torch.take_along_dim(x, x.argmax(1, keepdim=True), 1),
        "isel": x.index_select(2, i),
        "gather": x.gather(2, torch.zeros(3, 4, 1, dtype=torch.long)),
        "msel": torch.masked_select(x, m),
        "nz": x[0].nonzero(),
        "where": torch.where(m, x, -x),
        "argw": torch.argwhere(m[0, 0]),
        "narrow": x.narrow(1, 1, 2),
        "sel": x.select(1, 2),
        "unf": x.unfold(2, 3, 2),
        "diag": x.diagonal(0, 1, 2),
        "unb": x.unbind(1)[2],
        "sp": x.split([1, 3], 1)[1],
        "ch": x.chunk(2, 2)[1],
        "tsp": torch.tensor_split(x, 3, 2)[1],
        "hs": torch.hsplit(x, 2)[0],
        "tril": x[0].tril(),
        "roll": x.roll((1, 2), (0, 1)),
        "rot": x.rot90(1, (1, 2)),
        "flip": x.flip(0, 2),
        "mv": x.movedim(0, -1),
        "sw": x.swapaxes(0, 1),
        "perm": x.permute(2, 0, 1),
        "kron": torch.kron(torch.eye(2), torch.ones(1, 2)),
        "cart": torch.cartesian_prod(i, j),
        "comb": torch.combinations(torch.arange(4)),
        "mesh": torch.meshgrid(i, j, indexing="ij")[0],
        "blk": torch.block_diag(a, b[:2, :2]),
        "buck": torch.bucketize(a, torch.tensor([-1.0, 0.0, 1.0])),
        "ss": torch.searchsorted(
            torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 2.5]), right=True
        ),
        "hist": torch.histc(a, 4, -2, 2),
        "binc": torch.bincount(torch.tensor([1, 1, 3]), weights=torch.tensor([0.5, 0.5, 2.0])),
        "cov": torch.cov(a),
        "cor": torch.corrcoef(a),
        "quant": a.quantile(torch.tensor([0.25, 0.5]), dim=1),
        "med": a.median(),
        "mode": torch.mode(torch.tensor([1, 2, 2, 3])).values,
        "kth": a.kthvalue(2, 1).values,
        "std": a.std(0),
        "varm": torch.var_mean(a, 1)[0],
        "std0": a.std(1, correction=0),
        "lse": a.logsumexp((0, 1)),
        "norm": a.norm(),
        "n1": a.norm(1, 0),
        "ninf": a.norm(float("inf")),
        "nf": torch.linalg.norm(a, "fro"),
        "cs": a.cumsum(1),
        "cp": a.cumprod(0),
        "lcs": a.logcumsumexp(1),
        "diff": a.diff(dim=1),
        "trapz": torch.trapezoid(a),
        "clampt": a.clamp(torch.zeros(4), torch.ones(4)),
        "lerp": a.lerp(a * 2, 0.3),
        "addcm": torch.addcmul(a, a, a, value=0.5),
        "fmod": a.fmod(0.3),
        "rem": a.remainder(0.3),
        "fdiv": a // 0.3,
        "divm": torch.div(a, 0.3, rounding_mode="trunc"),
        "pow": a.abs() ** 0.5,
        "rpow": 2**a,
        "rsub": 1 - a,
        "rdiv": 1 / a,
        "mod": x % 7,
        "nan": torch.tensor([1.0, float("nan"), float("inf")]).nan_to_num(0, 9),
        "nanm": torch.tensor([1.0, float("nan")]).nanmean(),
        "sgn": a.sign(),
        "heav": torch.heaviside(a, torch.tensor(0.5)),
        "hyp": torch.hypot(a, a),
        "at2": torch.atan2(a, a + 1),
        "frac": a.frac(),
        "trunc": a.trunc(),
        "round": (a * 100).round(decimals=-1),
        "lse2": torch.logaddexp(a, a),
        "xlogy": torch.xlogy(a, a.abs()),
        "sinc": a.sinc(),
        "logit": a.sigmoid().logit(),
        "erf": a.erf(),
        "dig": a.abs().digamma(),
        "any": (a > 0).any(1),
        "all": (a > -9).all(),
        "cnz": (a > 0).count_nonzero(),
        "isin": torch.isin(x[0, 0], i),
        "isclose": torch.isclose(a, a + 1e-9),
        "uniq": torch.unique(x % 3),
        "topk": a.topk(2).indices,
        "sort": a.sort(1, descending=True).values,
        "asort": a.argsort(0),
        "msort": a.msort(),
        "amx": a.amax((0, 1)),
        "amm": torch.aminmax(a).max,
        "expm": torch.matrix_exp(f(3, 3) * 0.1),
        "inv": torch.linalg.inv(f(3, 3)),
        "det": torch.linalg.det(f(3, 3)),
        "slog": torch.linalg.slogdet(f(3, 3)).logabsdet,
        "solve": torch.linalg.solve(f(3, 3), f(3, 2)),
        "chol": torch.linalg.cholesky(f(3, 3) @ f(3, 3).T * 0 + torch.eye(3) * 2),
        "pinv": torch.linalg.pinv(a),
        "mrank": torch.linalg.matrix_rank(a),
        "svdv": torch.linalg.svdvals(a),
        "qr": torch.linalg.qr(f(4, 3)).R.abs(),
        "lstsq": torch.linalg.lstsq(f(5, 2), f(5, 1)).solution,
        "mpow": torch.linalg.matrix_power(f(3, 3), 3),
        "vnorm": torch.linalg.vector_norm(a, 3, 1),
        "cross": torch.linalg.cross(f(2, 3), f(2, 3)),
        "tdot": torch.tensordot(c, b, dims=1),
        "tdot2": torch.tensordot(c, c, dims=([1, 2], [1, 2])),
        "outer": torch.outer(i, j),
        "bad": torch.baddbmm(f(2, 3, 5), c, f(2, 4, 5), beta=0.5, alpha=2),
        "addmm": torch.addmm(f(5), a, b),
        "mvec": a.mv(f(4)),
        "dot": f(3).dot(f(3)),
        "inner": torch.inner(a, f(2, 4)),
        "cdist": torch.cdist(a, f(2, 4)),
        "pdist": torch.nn.functional.pdist(a),
        "vander": torch.vander(f(3)),
        "fft": torch.fft.rfft(a).abs(),
        "ifft": torch.fft.ifft2(torch.fft.fft2(a)).real,
        "polar": torch.polar(torch.ones(2), torch.ones(2)).angle(),
        "stft?": torch.view_as_real(torch.complex(a, a)),
    }.items():
        record(n, v)
    y = torch.zeros(3, 4)
    y[0] = 1
    y[:, 1] = torch.arange(3.0)
    y[y == 0] = -1
    y[[0, 1], [2, 3]] = torch.tensor([7.0, 8.0])
    y[2, ...] += 5
    y[1:, ::2] *= 2
    y[torch.tensor([True, False, False]), 1] = 99
    y[None, 0, 0] = 4
    record("set", y)
    y.index_fill_(1, i[:1], 3.0).masked_fill_(y > 50, 0).masked_scatter_(
        y == 0, torch.ones(12)
    ).scatter_(1, torch.tensor([[0], [1], [2]]), -3.0).scatter_add_(
        0, torch.zeros(1, 4, dtype=torch.long), torch.ones(1, 4)
    ).index_copy_(0, torch.tensor([1]), torch.ones(1, 4) * 6).put_(
        torch.tensor([11]), torch.tensor([0.25])
    )
    record("fill", y)
    y.fill_diagonal_(9).clamp_(max=8).add_(1, alpha=2).addcdiv_(
        torch.ones(4), torch.ones(4) * 2
    ).sub_(0.5).div_(2).pow_(2).sqrt_().neg_().abs_().mul_(2).round_().t_().squeeze_().unsqueeze_(
        0
    ).zero_()
    record("chain", y)
    for v in (
        a.to(torch.float16),
        a.half().double(),
        a.int(),
        a.bool(),
        a.long().float(),
        a.type(torch.DoubleTensor),
        a.type_as(x),
        a.to("cpu", torch.bfloat16),
        torch.as_tensor([1, 2.5]),
        torch.tensor([[True]]),
        torch.tensor(3),
        torch.tensor([1 + 2j]),
        torch.full((2,), 7),
        torch.full((2,), 7.0),
        torch.arange(0, 1, 0.25),
        torch.linspace(0, 1, 5),
        torch.logspace(0, 2, 3),
        torch.eye(2, 3),
        torch.empty(0),
        torch.zeros_like(x),
        torch.ones(2, dtype=torch.bool),
        torch.tensor(np.float64(2.5)),
        torch.tensor(np.arange(3)),
        torch.from_numpy(np.ones(2, np.int16)),
        torch.Tensor([1, 2]),
        torch.LongTensor([1, 2]),
        torch.tril_indices(3, 3),
    ):
        record("made", str(v.dtype)), record("shape", list(v.shape) + [0])
    record(
        "meta",
        f"{a.dim()} {a.ndim} {a.size()} {a.size(-1)} {a.shape[1]} {a.numel()} {a.nelement()} {a.element_size()} {a.stride()} {a.is_contiguous()} {a.t().is_contiguous()} {a.storage_offset()} {a[1].storage_offset()} {a.device} {a.is_cuda} {a.requires_grad} {a.is_leaf} {a.dtype.is_floating_point} {len(a)} {a.type()} {a.T.shape} {a.mT.shape} {c.mT.size()} {torch.is_tensor(a)} {a.is_floating_point()} {a.dtype.itemsize} {a.nbytes} {a.is_complex()}",
    )
    (
        record("item", [a.sum().item(), float(a[0, 0]), a.max().item()]),
        record("list", str(x[0, 0].tolist())),
        record("int", int(x[0, 0, 1])),
        record("fmt", f"{a[0, 0]:.3f} {x[0, 0, 1]:d} {a.mean().item():.4f}"),
        record("iter", [int(v) for v in x[0, 0]]),
        record("in", 3 in x),
        record("hash", hash(a) == hash(a)),
        record("eq", bool(torch.equal(a, a.clone()))),
        record("np", np.asarray(a)[0, 0].item()),
        record("np2", float(np.sum(a.numpy()))),
        record("arr", str(np.array([a[0, 0].item()]).dtype)),
        record("bool", bool(torch.tensor(1))),
        record("range", list(range(torch.tensor(3)))),
        record("cmp", str((a > 0).sum().item())),
        record(
            "res",
            str(torch.result_type(x, 1.5))
            + str(torch.promote_types(torch.int8, torch.float16))
            + str((x + 1.5).dtype)
            + str((x / 2).dtype)
            + str((x * True).dtype)
            + str((torch.tensor(1.0) + x).dtype)
            + str((a.half() + torch.tensor(1.0, dtype=torch.float64)).dtype)
            + str(torch.tensor([1.0]).mul(torch.tensor(2)).dtype)
            + str(x.float().mean().dtype)
            + str((x > 1).sum().dtype)
            + str(x.to(torch.uint8).sum().dtype),
        ),
    )
    z = torch.tensor([[3.0, 1.0], [2.0, 4.0]], requires_grad=True)
    vals, idx = z.max(dim=1)
    (
        record(
            "named",
            f"{z.max(dim=1)._fields if hasattr(z.max(dim=1), '_fields') else ('values', 'indices')}",
        ),
        record("max", vals),
        record("unpack", idx),
    )
    (
        record("out", torch.add(a, 1, out=torch.empty(3, 4))),
        record("bcast", torch.broadcast_to(f(4), (3, 4))),
        record("expand", f(3, 1).expand(-1, 4)),
        record("rep", f(2).repeat(2, 3)),
        record("ri", torch.arange(3).repeat_interleave(torch.tensor([1, 0, 2]))),
        record("tile", torch.tile(i, (2,))),
        record("stack", torch.stack([i, j], -1)),
        record("vs", torch.vstack((i, j))),
        record("hst", torch.hstack((i, j))),
        record("cs2", torch.column_stack((i, j))),
        record("dst", torch.dstack((i, j))),
        record("at", torch.atleast_2d(i)),
        record("rav", x.ravel()[:3]),
        record("unfl", x.unflatten(1, (2, 2)).shape.__str__()),
        record("va", f(2, 2).view_as(f(4)).shape.__str__()),
        record("rs", f(6).reshape(2, -1).shape.__str__()),
        record("vd", torch.ones(1).view(torch.int32)),
        record("sq", torch.zeros(1, 2, 1).squeeze((0, 2)).shape.__str__()),
        record(
            "cl",
            torch.ones(1, 2, 2, 2).contiguous(memory_format=torch.channels_last).stride().__str__(),
        ),
    )
