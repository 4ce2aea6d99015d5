import numpy as np
import torch
import torch.nn.functional as F


def main(record, fill):
    rng = np.random.default_rng(0)
    f = lambda *s: torch.from_numpy(rng.standard_normal(s).astype("float32"))
    x = f(3, 4)
    for n in "relu relu6 elu selu celu gelu silu mish softplus softsign tanh sigmoid logsigmoid hardtanh hardswish hardsigmoid leaky_relu tanhshrink softshrink hardshrink".split():
        z = x.clone().requires_grad_()
        y = getattr(F, n)(z)
        y.sum().backward()
        record(n, y), record(n + " g", z.grad)
    for n in "softmax log_softmax softmin".split():
        record(n, getattr(F, n)(x, dim=-1))
    (
        record("glu", F.glu(x)),
        record("thr", F.threshold(x, 0.1, 5.0)),
        record("norm", F.normalize(x, p=1, dim=0)),
        record("gumb", F.gumbel_softmax(x, hard=True).sum(-1)),
        record("dropeval", F.dropout(x, 0.5, training=False)),
        record("prelu", F.prelu(x, torch.tensor([0.2]))),
    )
    t = torch.tensor([0, 2, 3])
    a, b = f(3, 4), f(3, 4)
    for name, l in dict(
        ce=F.cross_entropy(x, t),
        ce_w=F.cross_entropy(x, t, weight=torch.tensor([1.0, 2, 3, 4]), ignore_index=2),
        ce_s=F.cross_entropy(x, t, label_smoothing=0.1, reduction="sum"),
        mse=F.mse_loss(a, b),
        l1=F.l1_loss(a, b),
        sl1=F.smooth_l1_loss(a, b, beta=0.5),
        hub=F.huber_loss(a, b, delta=0.5),
        bce=F.binary_cross_entropy(a.sigmoid(), b.sigmoid()),
        bcel=F.binary_cross_entropy_with_logits(a, b.sigmoid(), pos_weight=torch.ones(4) * 2),
        kl=F.kl_div(a.log_softmax(1), b.softmax(1), reduction="batchmean"),
        klt=F.kl_div(a.log_softmax(1), b.log_softmax(1), log_target=True, reduction="sum"),
        nll=F.nll_loss(a.log_softmax(1), t),
        pois=F.poisson_nll_loss(a, b.abs()),
        gauss=F.gaussian_nll_loss(a, b, torch.ones(3, 4)),
        hinge=F.hinge_embedding_loss(a, b.sign()),
        soft=F.soft_margin_loss(a, b.sign()),
        multi=F.multilabel_soft_margin_loss(a, (b > 0).float()),
        mm=F.multi_margin_loss(a, t),
        cos=F.cosine_embedding_loss(a, b, torch.tensor([1.0, -1, 1])),
        trip=F.triplet_margin_loss(a, b, a + b),
    ).items():
        record(name, l)
    im = f(2, 3, 8, 10)
    for name, y in dict(
        mp=F.max_pool2d(im, 3, 2, 1),
        mpi=F.max_pool2d(im, 2, return_indices=True)[1],
        ap=F.avg_pool2d(im, 3, 2, 1, count_include_pad=False),
        aap=F.adaptive_avg_pool2d(im, (3, 4)),
        amp=F.adaptive_max_pool2d(im, 2),
        lp=F.lp_pool2d(im, 2, 2),
        c=F.conv2d(im, f(6, 3, 3, 3), f(6), 2, 1),
        cg=F.conv2d(im, f(6, 1, 3, 3), groups=3, dilation=2),
        cs=F.conv2d(im, f(2, 3, 3, 3), padding="same"),
        ct=F.conv_transpose2d(im, f(3, 2, 3, 3), stride=2, padding=1, output_padding=1),
        c1=F.conv1d(f(2, 3, 9), f(4, 3, 3), padding=1),
        c3=F.conv3d(f(1, 2, 4, 4, 4), f(3, 2, 2, 2, 2)),
        pr=F.pad(im, (1, 2, 0, 1), "reflect"),
        pp=F.pad(im, (1, 1, 1, 1), "replicate"),
        pc=F.pad(im, (2, 1), "circular") if False else F.pad(f(2, 3, 5), (2, 1), "circular"),
        pk=F.pad(im, (1, -1, 2, 0), value=3.0),
        un=F.unfold(im, 3, padding=1, stride=2),
        fo=F.fold(F.unfold(im, 2, stride=2), (8, 10), 2, stride=2),
        ip=F.interpolate(im, scale_factor=2),
        ib=F.interpolate(im, (5, 7), mode="bilinear"),
        ic=F.interpolate(im, scale_factor=1.5, mode="bicubic", align_corners=False),
        ia=F.interpolate(im, (4, 5), mode="area"),
        ie=F.interpolate(im, scale_factor=0.5, mode="nearest-exact"),
        ps=F.pixel_shuffle(f(1, 8, 2, 3), 2),
        pu=F.pixel_unshuffle(im, 2),
        gs=F.grid_sample(
            im,
            F.affine_grid(
                torch.tensor([[[0.9, 0.1, 0], [-0.1, 0.8, 0.2]]] * 2),
                (2, 3, 6, 6),
                align_corners=False,
            ),
            align_corners=False,
        ),
        gsn=F.grid_sample(
            im, f(2, 3, 3, 2).tanh(), mode="nearest", padding_mode="border", align_corners=True
        ),
        bn=F.batch_norm(im, None, None, training=True),
        inn=F.instance_norm(im),
        gn=F.group_norm(im, 3),
        ln=F.layer_norm(im, (8, 10)),
        lrn=F.local_response_norm(im, 3),
        rms=F.rms_norm(im, (10,)),
        cossim=F.cosine_similarity(im, im * 2 + 1, dim=1),
        pd=F.pairwise_distance(a, b),
        oh=F.one_hot(t, 5),
        emb=F.embedding(t, f(5, 3), padding_idx=2),
        eb=F.embedding_bag(t, f(5, 3), torch.tensor([0, 1])),
        bil=F.bilinear(a, b, f(2, 4, 4)),
        lin=F.linear(a, f(5, 4), f(5)),
        mu=F.max_unpool2d(*F.max_pool2d(im, 2, return_indices=True), 2),
        cs2=F.channel_shuffle(f(1, 4, 2, 2), 2),
    ).items():
        record(name, y)
    boxes = torch.tensor([[0.0, 0, 2, 2], [1, 1, 3, 3], [0, 0, 1, 1]])
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    lt, rb = (
        torch.max(boxes[:, None, :2], boxes[None, :, :2]),
        torch.min(boxes[:, None, 2:], boxes[None, :, 2:]),
    )
    wh = (rb - lt).clamp(min=0)
    inter = wh[:, :, 0] * wh[:, :, 1]
    record("iou", inter / (area[:, None] + area - inter))
    gram = torch.einsum("bchw,bdhw->bcd", im, im).div(3 * 80)
    record("gram", gram)
    C, eps, u, v = torch.cdist(a, b), 0.5, torch.zeros(3), torch.zeros(3)
    for _ in range(20):
        u = -eps * torch.logsumexp((v - C) / eps, 1) + eps * np.log(1 / 3)
        v = -eps * torch.logsumexp((u[:, None] - C) / eps, 0) + eps * np.log(1 / 3)
    record("sinkhorn", ((u[:, None] + v - C) / eps).exp())
    img = f(1, 3, 6, 6).requires_grad_()
    w, tgt = f(4, 3, 3, 3), f(4, 4)
    opt = torch.optim.LBFGS([img], max_iter=5)

    def closure():
        opt.zero_grad()
        z = F.conv2d(img, w).flatten(2)[0]
        loss = F.mse_loss(z @ z.T / 64, tgt @ tgt.T)
        loss.backward()
        return loss

    for _ in range(2):
        record("style", opt.step(closure))
    record(
        "stft", torch.stft(f(2, 64), 16, 4, window=torch.hann_window(16), return_complex=True).abs()
    )
    s = f(100)
    S = torch.stft(
        s,
        20,
        hop_length=5,
        win_length=16,
        window=torch.hamming_window(16),
        center=True,
        normalized=True,
        return_complex=True,
    )
    record("S", torch.view_as_real(S))
    record(
        "istft",
        torch.istft(
            S,
            20,
            hop_length=5,
            win_length=16,
            window=torch.hamming_window(16),
            normalized=True,
            length=100,
        ),
    )
    for n in "hann hamming blackman bartlett kaiser".split():
        (
            record(n, getattr(torch, n + "_window")(9)),
            record(n, getattr(torch, n + "_window")(8, periodic=False)),
        )
