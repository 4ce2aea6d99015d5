import numpy as np
import torch


def main(record, fill):
    torch.set_printoptions(profile="default")
    rng = np.random.default_rng(0)
    f = lambda *s: torch.from_numpy(rng.standard_normal(s).astype("float32"))
    for v in (
        torch.tensor(1.0),
        torch.tensor(3),
        torch.tensor(True),
        torch.tensor([]),
        torch.zeros(0, 3),
        torch.tensor([1.0, 2.5]),
        torch.tensor([1e-5, 1.0]),
        torch.tensor([1e10, 1.0]),
        torch.tensor([1e-30]),
        torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0]),
        torch.tensor([1.0, float("nan")]),
        f(2, 3),
        f(2, 2, 3),
        f(30, 40),
        f(1100),
        torch.arange(2000),
        torch.arange(12).view(3, 4),
        torch.arange(5).short(),
        f(3).half(),
        f(3).bfloat16(),
        f(3).double(),
        torch.tensor([1 + 2j, 3.5 - 1j]),
        torch.tensor([True, False]),
        torch.tensor([[1, -200], [30, 4]]),
        torch.ones(2, requires_grad=True),
        torch.ones(2, requires_grad=True) * 2,
        torch.nn.Parameter(torch.ones(2, 2)),
        torch.tensor([100000.0, 0.001]),
        torch.tensor([123456789.0]),
        torch.tensor([0.1, 0.22, 0.333]),
        torch.tensor([1000.5, 2.25]),
        torch.tensor(1e-8),
        torch.tensor([-0.0, 0.0]),
        torch.ones(3, 3, device="meta"),
        torch.tensor([[[]]]),
        torch.tensor([1.0, 2.0]).view(2, 1).expand(2, 3),
        torch.tensor(2**40),
        torch.tensor([255], dtype=torch.uint8),
        torch.eye(3).to(torch.int8),
        torch.tensor([1e38, 1e-38]),
        f(3, 1, 2).permute(2, 0, 1),
    ):
        record("repr", repr(v)), record("str", str(v)), record("fmt", f"{v}")
    torch.set_printoptions(precision=2, sci_mode=False, linewidth=40, threshold=10, edgeitems=2)
    for v in (f(3, 9), f(20), torch.tensor([1e-5, 1e5])):
        record("opt", repr(v))
    torch.set_printoptions(profile="full")
    record("full", repr(f(1200))[:100])
    torch.set_printoptions(profile="default")
    for v in (
        torch.float32,
        torch.device("cpu"),
        torch.Size([1, 2]),
        torch.finfo(torch.float16),
        torch.finfo(torch.bfloat16),
        torch.finfo(torch.float64),
        torch.iinfo(torch.int8),
        torch.strided,
        torch.contiguous_format,
        torch.channels_last,
        torch.preserve_format,
        torch.ones(2).shape,
        torch.ones(1, requires_grad=True).sum().grad_fn.__class__.__name__,
        torch.Generator().device,
        (torch.ones(1), {"a": torch.zeros(2)}),
    ):
        record("thing", str(v)), record("thing", repr(v))
    nn = torch.nn
    for m in (
        nn.Linear(2, 3),
        nn.Conv2d(3, 4, (3, 5), stride=2, padding=1, dilation=2, groups=1, bias=False),
        nn.Conv1d(4, 4, 3, padding="same", padding_mode="circular", groups=4),
        nn.ConvTranspose2d(3, 4, 2, output_padding=0),
        nn.BatchNorm2d(3),
        nn.LayerNorm((2, 3)),
        nn.GroupNorm(2, 4),
        nn.InstanceNorm1d(3),
        nn.RMSNorm(4),
        nn.Embedding(5, 3, padding_idx=1, max_norm=2.0),
        nn.LSTM(3, 4, 2, batch_first=True, dropout=0.1, bidirectional=True),
        nn.GRUCell(2, 3),
        nn.Dropout(0.2),
        nn.ReLU(),
        nn.ReLU(True),
        nn.LeakyReLU(0.1),
        nn.GELU(),
        nn.GELU("tanh"),
        nn.Softmax(dim=1),
        nn.PReLU(),
        nn.ELU(),
        nn.Hardtanh(-2, 2),
        nn.Threshold(0.1, 20),
        nn.MaxPool2d(2),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.AdaptiveAvgPool2d((1, None)),
        nn.Flatten(),
        nn.Unflatten(1, (2, 3)),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        nn.PixelShuffle(2),
        nn.ZeroPad2d(1),
        nn.ReflectionPad2d((1, 2, 0, 1)),
        nn.Identity(),
        nn.Sequential(nn.Linear(1, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 1))),
        nn.ModuleList([nn.Linear(1, 1)] * 3),
        nn.ModuleDict({"a": nn.ReLU(), "b": nn.Tanh()}),
        nn.ParameterList([nn.Parameter(torch.ones(2))]),
        nn.CrossEntropyLoss(),
        nn.MSELoss(reduction="sum"),
        nn.Bilinear(1, 2, 3),
        nn.CosineSimilarity(),
        nn.Transformer(4, 2, 1, 1, 8).encoder.norm,
        nn.EmbeddingBag(3, 2),
        nn.LocalResponseNorm(2),
        nn.Fold((4, 4), 2),
        nn.Unfold(2),
        nn.Softplus(),
        nn.Hardswish(),
        nn.GLU(),
        nn.MultiheadAttention(4, 2).dropout,
    ):
        record("module", repr(m))
    p = torch.nn.Parameter(torch.ones(1))
    for o in (
        torch.optim.SGD([p], 0.1),
        torch.optim.Adam([p]),
        torch.optim.RMSprop([p]),
        torch.optim.LBFGS([p]),
    ):
        record("optim", repr(o))
    record("sched", type(torch.optim.lr_scheduler.StepLR(torch.optim.SGD([p], 0.1), 2)).__name__)
    d = torch.distributions
    for o in (
        d.Normal(0.0, 1.0),
        d.Categorical(torch.ones(3)),
        d.Bernoulli(torch.tensor([0.3, 0.4])),
        d.Independent(d.Normal(torch.zeros(2), torch.ones(2)), 1),
    ):
        record("dist", repr(o))
