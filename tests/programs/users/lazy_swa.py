import pickle

import numpy as np
import torch
import torch.nn as nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.loss import _Loss
from torch.nn.modules.utils import _pair
from torch.optim.swa_utils import (
    SWALR,
    AveragedModel,
    get_ema_avg_fn,
    get_ema_multi_avg_fn,
    update_bn,
)
from torch.utils.data import DataLoader, TensorDataset


def main(record, fill):
    rng = np.random.default_rng(0)
    make = lambda: nn.Sequential(
        nn.LazyConv2d(4, 3),
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        nn.LazyConvTranspose2d(6, 2, 2),
        nn.InstanceNorm2d(6),
        nn.Flatten(),
        nn.LazyLinear(5, bias=False),
        nn.LazyLinear(3),
    )
    net = make()
    record("repr", repr(net))
    record("un", isinstance(net[0].weight, nn.UninitializedParameter))
    try:
        net[0].weight.shape
    except RuntimeError as e:
        record("err", "uninitialized" in str(e))
    twin = make()
    opt = torch.optim.SGD(net.parameters(), lr=0.01)
    x = torch.from_numpy(rng.standard_normal((6, 3, 8, 8)).astype("float32"))
    net(x)
    record("repr", repr(net))
    record("types", str([type(m).__name__ for m in net]))
    fill(net)[1].reset_running_stats()
    twin.load_state_dict(net.state_dict())
    record("same", bool(torch.allclose(twin(x), net(x))))

    y = torch.tensor([0, 1, 2, 0, 1, 2])
    swa = AveragedModel(net)
    ema = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    ema2 = torch.optim.swa_utils.AveragedModel(net, avg_fn=get_ema_avg_fn(0.5))
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=10)
    swas = SWALR(opt, swa_lr=0.05, anneal_epochs=3, anneal_strategy="linear")
    for i in range(8):
        loss = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        ema.update_parameters(net)
        ema2.update_parameters(net)
        if i > 3:
            swa.update_parameters(net)
            swas.step()
        else:
            sched.step()
        record("loss", loss), record("lr", opt.param_groups[0]["lr"])
    update_bn(DataLoader(TensorDataset(x, y), batch_size=3), swa)
    for n, m in (("swa", swa), ("ema", ema), ("ema2", ema2)):
        m.eval()
        record(n, m(x)), record("n", m.n_averaged)
    record("bn", swa.module[1].running_mean)
    record("keys", str(list(swa.state_dict())[:4]))
    record("isbn", [isinstance(m, _BatchNorm) for m in net])
    record("pair", str(_pair(3)))
    record("loss?", isinstance(nn.MSELoss(), _Loss))
    p = pickle.loads(pickle.dumps(net))
    record("pick", p.eval()(x))
    for strategy in ("cos", "linear"):
        o = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        s = SWALR(o, [0.2], anneal_epochs=4, anneal_strategy=strategy)
        got = []
        for i in range(6):
            o.step(), s.step()
            got.append(s.get_last_lr()[0])
        record("swalr", got)
