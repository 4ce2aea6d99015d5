import numpy as np
import torch
from torch.optim import lr_scheduler as S


def main(record, fill):
    p = torch.nn.Parameter(torch.ones(3))
    make = {
        "step": lambda o: S.StepLR(o, 3, 0.5),
        "multi": lambda o: S.MultiStepLR(o, [2, 5], gamma=0.1),
        "exp": lambda o: S.ExponentialLR(o, 0.9),
        "cos": lambda o: S.CosineAnnealingLR(o, 5, 1e-3),
        "warm": lambda o: S.CosineAnnealingWarmRestarts(o, 3, 2),
        "lam": lambda o: S.LambdaLR(o, lambda e: min(1, (e + 1) / 4)),
        "lams": lambda o: S.LambdaLR(o, [lambda e: 0.9**e, lambda e: 1.0]),
        "mul": lambda o: S.MultiplicativeLR(o, lambda e: 0.95),
        "lin": lambda o: S.LinearLR(o, 0.1, total_iters=4),
        "const": lambda o: S.ConstantLR(o, 0.5, 3),
        "poly": lambda o: S.PolynomialLR(o, 6, power=2.0),
        "cyc": lambda o: S.CyclicLR(
            o, 0.01, 0.1, step_size_up=2, mode="triangular2", cycle_momentum=False
        ),
        "one": lambda o: S.OneCycleLR(
            o, 0.2, total_steps=12, anneal_strategy="linear", three_phase=True
        ),
        "chain": lambda o: S.ChainedScheduler([S.ConstantLR(o, 0.1, 2), S.ExponentialLR(o, 0.9)]),
        "seq": lambda o: S.SequentialLR(
            o,
            [S.LinearLR(o, 0.1, total_iters=3), S.CosineAnnealingLR(o, 6), S.ConstantLR(o, 0.3)],
            [3, 7],
        ),
    }
    for name, fn in make.items():
        q = torch.nn.Parameter(torch.ones(2))
        o = torch.optim.SGD([{"params": [p]}, {"params": [q], "lr": 0.05}], lr=0.1, momentum=0.9)
        s = fn(o)
        rates = [s.get_last_lr()]
        for i in range(10):
            o.step()
            s.step()
            rates.append(s.get_last_lr())
        record(name, [v for r in rates for v in r])
        st = s.state_dict()
        o2 = torch.optim.SGD([{"params": [p]}, {"params": [q], "lr": 0.05}], lr=0.1, momentum=0.9)
        s2 = fn(o2)
        s2.load_state_dict(st)
        o2.load_state_dict(o.state_dict())
        o2.step(), s2.step(), o.step(), s.step()
        record(name + " again", s2.get_last_lr()), record(name, s.get_last_lr())
        record("keys", "last_epoch" in st or "_schedulers" in st)
    o = torch.optim.SGD([p], lr=0.1)
    s = S.ReduceLROnPlateau(
        o, "max", factor=0.1, patience=2, threshold=0.01, cooldown=1, min_lr=1e-4
    )
    for i, m in enumerate([1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]):
        s.step(m)
        record("plateau", [o.param_groups[0]["lr"], s.num_bad_epochs])
    rng = np.random.default_rng(0)
    A = torch.from_numpy(rng.standard_normal((6, 4)).astype("float32"))
    y = torch.from_numpy(rng.standard_normal((6, 2)).astype("float32"))
    O = torch.optim
    for name, fn in {
        "sgd": lambda ps: O.SGD(ps, 0.1),
        "mom": lambda ps: O.SGD(ps, 0.1, 0.9, dampening=0.1, weight_decay=0.01),
        "nest": lambda ps: O.SGD(ps, 0.1, 0.9, nesterov=True, maximize=False),
        "adam": lambda ps: O.Adam(ps, 0.1, weight_decay=0.1),
        "ams": lambda ps: O.Adam(ps, 0.1, amsgrad=True, foreach=True),
        "adamw": lambda ps: O.AdamW(ps, 0.1, fused=True),
        "max": lambda ps: O.Adamax(ps, 0.1),
        "nadam": lambda ps: O.NAdam(ps, 0.1),
        "radam": lambda ps: O.RAdam(ps, 0.1),
        "rms": lambda ps: O.RMSprop(ps, 0.01, centered=True, momentum=0.5),
        "ada": lambda ps: O.Adagrad(ps, 0.1, lr_decay=0.1),
        "delta": lambda ps: O.Adadelta(ps, 1.0),
        "asgd": lambda ps: O.ASGD(ps, 0.1),
        "rprop": lambda ps: O.Rprop(ps, 0.01),
        "factor": lambda ps: O.Adafactor(ps, 0.1),
        "muon": lambda ps: O.Muon([p for p in ps if p.ndim == 2], 0.1),
    }.items():
        net = fill(torch.nn.Linear(4, 2))
        opt = fn(list(net.parameters()))
        opt.register_step_post_hook(lambda o, a, k: None)
        for i in range(5):
            opt.zero_grad()
            loss = ((net(A) - y) ** 2).mean()
            loss.backward()
            opt.step()
            record(name, loss)
        st = opt.state_dict()
        if name not in ("nadam", "asgd"):
            record("state", str({k: sorted(v) for k, v in st["state"].items()}))
        record("group", str(sorted(st["param_groups"][0])))
        opt.load_state_dict(st)
    for bad in (
        lambda: O.SGD([], 0.1),
        lambda: O.SGD([p], -1),
        lambda: O.Adam([p], betas=(1.0, 0.9)),
        lambda: O.SGD(p, 0.1),
        lambda: O.SGD([torch.ones(1) * p], 0.1),
        lambda: O.SGD([{"params": [p]}, {"params": [p]}], 0.1),
        lambda: O.SGD([p], lr=0.1, nesterov=True),
        lambda: O.SGD([{"lr": 1}], 0.1),
        lambda: S.StepLR(p, 1),
        lambda: S.OneCycleLR(o, 0.1),
        lambda: O.Adam([1], 0.1),
    ):
        try:
            bad()
            record("bad", "none")
        except Exception as e:
            record("bad", next(k.__name__ for k in type(e).__mro__ if k.__module__ == "builtins"))
    lr = torch.tensor(0.1)
    opt = O.Adam([p], lr=lr, capturable=False)
    record("tlr", float(opt.param_groups[0]["lr"]))
