"""Module: attributes, walking, state_dict, hooks, conversion, copying; PyTorch beside it."""

from __future__ import annotations

import copy
import io
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch

import mezzo
from mezzo import nn

BOTH = [(torch, torch.nn), (mezzo, nn)]


def network(n, t):
    """One model in either framework, with a tied parameter, buffers and nesting."""

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            self.first = n.Linear(3, 4)
            self.blocks = n.ModuleList(
                [n.Sequential(n.Linear(4, 4), n.BatchNorm1d(4)) for _ in "ab"]
            )
            self.head = n.Linear(3, 4)
            self.head.weight = self.first.weight
            self.scale = n.Parameter(t.ones(()))
            self.register_buffer("offset", t.zeros(2))
            self.register_buffer("scratch", t.zeros(1), persistent=False)
            self.register_buffer("nothing", None)
            self.extras = n.ModuleDict({"act": n.ReLU(), "none": n.Identity()})

        def forward(self, x):
            x = self.first(x)
            for block in self.blocks:
                x = block(x)
            return self.extras["act"](x) * self.scale

    return Net()


class Net(nn.Module):
    """Importable, so that it can be pickled."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.tied = nn.Linear(2, 2, bias=False)
        self.tied.weight = self.fc.weight
        self.register_buffer("steps", mezzo.zeros(1))

    def forward(self, x, shift=0.0):
        return self.tied(self.fc(x)) + shift


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def describe(net) -> dict:
    """Everything that walking gives, by name."""
    return {
        "parameters": [(k, tuple(p.shape)) for k, p in net.named_parameters()],
        "all parameters": [k for k, _ in net.named_parameters(remove_duplicate=False)],
        "own": [k for k, _ in net.named_parameters(prefix="p", recurse=False)],
        "buffers": [k for k, _ in net.named_buffers()],
        "modules": [(k, type(m).__name__) for k, m in net.named_modules(prefix="x")],
        "children": [k for k, _ in net.named_children()],
        "state": list(net.state_dict(prefix="q.")),
        "metadata": dict(net.state_dict()._metadata),
        "count": (len(list(net.modules())), len(list(net.parameters())), len(list(net.buffers()))),
        "text": repr(net),
    }


def test_walking():
    mine, theirs = (describe(network(n, t)) for t, n in BOTH)
    assert mine == theirs


def test_look_up_by_path():
    net = network(nn, mezzo)
    assert net.get_submodule("blocks.1.0") is net.blocks[1][0] and net.get_submodule("") is net
    assert net.get_parameter("blocks.0.0.bias") is net.blocks[0][0].bias
    assert net.get_buffer("blocks.0.1.running_mean") is net.blocks[0][1].running_mean
    for path, text in (
        ("blocks.7", "no attribute `7`"),
        ("scale.x", "`scale` is not an nn.Module"),
    ):
        with pytest.raises(AttributeError, match=text):
            net.get_submodule(path)
    with pytest.raises(AttributeError, match="not an nn.Parameter"):
        net.get_parameter("offset")
    net.set_submodule("blocks.0.0", nn.Identity())
    assert isinstance(net.blocks[0][0], nn.Identity)


def test_attributes():
    net = Net()
    with pytest.raises(TypeError, match="cannot assign 'Tensor' object to parameter 'weight'"):
        net.fc.weight = mezzo.zeros(2, 2)
    with pytest.raises(TypeError, match="child module 'fc'"):
        net.fc = 3
    with pytest.raises(TypeError, match="buffer 'steps'"):
        net.steps = 3
    net.steps = mezzo.ones(1)
    assert net._buffers["steps"].item() == 1
    net.fc.bias = None
    assert net.fc.bias is None and "bias" in net.fc._parameters
    net.plain = 5
    net.plain = nn.Parameter(mezzo.zeros(1))
    assert "plain" in net._parameters and "plain" not in net.__dict__
    with pytest.raises(TypeError, match="parameter 'plain'"):
        net.plain = nn.Identity()
    del net.plain
    net.plain = nn.Identity()
    assert "plain" not in net._parameters and "plain" in net._modules
    del net.plain
    assert not hasattr(net, "plain")
    net.counter = nn.Buffer(mezzo.zeros(1), persistent=False)
    assert "counter" in net._buffers and "counter" not in net.state_dict()
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'missing'"):
        net.missing  # noqa: B018
    assert {"fc", "steps", "forward"} <= set(dir(net))


def test_attributes_before_init():
    class Early(nn.Module):
        def __init__(self, value):
            self.value = value

    assert Early(3).value == 3
    for value in (nn.Parameter(mezzo.zeros(1)), nn.Identity(), nn.Buffer(mezzo.zeros(1))):
        with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
            Early(value)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda m: m.register_buffer("a.b", None), KeyError, "cannot contain"),
        (lambda m: m.register_buffer("", None), KeyError, "empty string"),
        (lambda m: m.register_buffer("fc", None), KeyError, "already exists"),
        (lambda m: m.register_buffer("x", 3), TypeError, "cannot assign 'int'"),
        (lambda m: m.register_parameter("x", mezzo.zeros(1)), TypeError, "nn.Parameter or None"),
        (lambda m: m.register_parameter(3, None), TypeError, "must be a str"),
        (lambda m: m.register_module("x", 3), TypeError, "not a Module subclass"),
        (lambda m: m.train(1), ValueError, "must be a bool"),
        (lambda m: m.to(mezzo.int64), TypeError, "floating point or complex"),
        (lambda m: m.to([1]), TypeError, "Module.to"),
        (lambda m: m.load_state_dict([1]), TypeError, "dict-like"),
        (lambda m: nn.Module()(1), NotImplementedError, 'missing the required "forward"'),
        (lambda m: nn.Parameter([1.0]), TypeError, "must be a Tensor"),
        (lambda m: m.register_forward_hook(3), TypeError, "callable"),
    ],
)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call(Net())


# ---- state_dict


def state(t, net) -> dict:
    return {k: t.tensor(v.detach().numpy().copy()) for k, v in net.state_dict().items()}


def problems(error: BaseException) -> list[str]:
    """The lines of a loading error, sizes written alike."""
    return [
        line.strip().replace("torch.Size(", "").replace("])", "]")
        for line in str(error).split("\n")
    ]


def edit_missing(s, t):
    del s["first.bias"], s["blocks.0.1.running_var"]


def edit_unexpected(s, t):
    s["extra"] = s["blocks.5.0.weight"] = s["first.other"] = s["scratch"] = t.zeros(1)


def edit_sizes(s, t):
    s["first.bias"], s["scale"] = t.zeros(7), t.zeros(2, 2)


def edit_all(s, t):
    edit_missing(s, t)
    edit_unexpected(s, t)
    s["head.bias"] = t.zeros(1)


@pytest.mark.parametrize("edit", [edit_missing, edit_unexpected, edit_sizes, edit_all])
@pytest.mark.parametrize("strict", [True, False])
def test_loading_errors(edit, strict):
    told = []
    for t, n in BOTH:
        net = network(n, t)
        saved = state(t, net)
        edit(saved, t)
        try:
            result = net.load_state_dict(saved, strict=strict)
        except RuntimeError as error:
            told.append(problems(error))
        else:
            told.append((result.missing_keys, result.unexpected_keys))
    assert told[0] == told[1]


def test_loading_copies_and_assign_adopts():
    source, target = network(nn, mezzo), network(nn, mezzo)
    weight = target.first.weight
    assert str(target.load_state_dict(source.state_dict())) == "<All keys matched successfully>"
    assert target.first.weight is weight and target.head.weight is weight
    np.testing.assert_array_equal(weight.detach().numpy(), source.first.weight.detach().numpy())
    assert source.state_dict()["first.weight"].data_ptr() == source.first.weight.data_ptr()
    assert source.state_dict(keep_vars=True)["first.weight"] is source.first.weight
    half = {k: v.half() if v.is_floating_point() else v for k, v in source.state_dict().items()}
    target.load_state_dict(half)
    assert target.first.weight.dtype is mezzo.float32
    target.first.weight.requires_grad_(False)
    target.load_state_dict(half, assign=True)
    assert target.first.weight.dtype is mezzo.float16 and target.first.weight is not weight
    assert isinstance(target.first.weight, nn.Parameter) and not target.first.weight.requires_grad
    assert target.first.bias.requires_grad
    assert target.offset.data_ptr() == half["offset"].data_ptr()


def test_extra_state_and_old_versions():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = 0

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    net, other = nn.Sequential(Counting()), nn.Sequential(Counting())
    net[0].count = 3
    assert net.state_dict() == {"0._extra_state": {"count": 3}}
    other.load_state_dict(net.state_dict())
    assert other[0].count == 3
    with pytest.raises(RuntimeError, match='Missing key.*"0._extra_state"'):
        other.load_state_dict({})
    with pytest.raises(RuntimeError, match='Unexpected key.*"_extra_state"'):
        nn.Identity().load_state_dict({"_extra_state": 1})
    old = nn.BatchNorm1d(2).state_dict()
    del old["num_batches_tracked"], old._metadata
    nn.BatchNorm1d(2).load_state_dict(old)  # before version 2 there was no counter


def test_state_dict_hooks():
    net, calls = Net(), []
    handles = [
        net.register_state_dict_pre_hook(
            lambda m, prefix, keep: calls.append(("pre", prefix, keep))
        ),
        net.register_state_dict_post_hook(lambda m, d, prefix, meta: d.update(note=prefix) or None),
        net.register_load_state_dict_pre_hook(lambda m, d, *rest: d.pop("note")),
        net.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear()),
    ]
    saved = net.state_dict()
    assert calls == [("pre", "", False)] and saved.pop("note") == ""
    saved["note"] = 1
    del saved["steps"]
    net.load_state_dict(saved)
    for handle in handles:
        handle.remove()
    assert "note" not in net.state_dict()
    with pytest.raises(RuntimeError, match="steps"):
        net.load_state_dict(saved)


# ---- hooks


def test_forward_hooks():
    net, calls, x = Net(), [], mezzo.ones(1, 2)
    plain = net(x).detach().numpy()
    with net.register_forward_pre_hook(lambda m, args: calls.append(("pre", len(args)))):
        net(x)
    with net.register_forward_pre_hook(lambda m, args: args[0] * 2):
        assert not np.allclose(net(x).detach().numpy(), plain)
    with net.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"shift": kwargs["shift"] + 1}), with_kwargs=True
    ):
        np.testing.assert_allclose(net(x, shift=2.0).detach().numpy(), plain + 3, rtol=1e-5)
    with net.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True):
        with pytest.raises(RuntimeError, match="new_args, new_kwargs"):
            net(x)
    one = net.register_forward_hook(lambda m, args, out: calls.append("one"))
    two = net.register_forward_hook(
        lambda m, args, out: calls.append("two") or out + 1, prepend=True
    )
    np.testing.assert_allclose(net(x).detach().numpy(), plain + 1, rtol=1e-5)
    assert calls == [("pre", 1), "two", "one"]
    one.remove()
    two.remove()
    one.remove()
    with net.register_forward_hook(
        lambda m, args, kwargs, out: calls.append(kwargs), with_kwargs=True
    ):
        net(x, shift=1.0)
    assert calls[-1] == {"shift": 1.0}
    np.testing.assert_array_equal(net(x).detach().numpy(), plain)


def test_hooks_that_are_always_called():
    net, calls = Net(), []
    net.register_forward_hook(lambda m, args, out: calls.append(out), always_call=True)
    net.register_forward_hook(lambda m, args, out: calls.append("not"))
    with pytest.raises(TypeError):
        net()
    assert calls == [None]


@pytest.mark.parametrize("trained_input", [True, False])
def test_backward_hooks(trained_input):
    seen = []
    for t, n in BOTH:
        layer = n.Linear(2, 3)
        layer.load_state_dict({"weight": t.tensor(values(3, 2)), "bias": t.zeros(3)})
        x = t.tensor(values(4, 2))
        x.requires_grad_(trained_input)
        calls = []
        layer.register_full_backward_pre_hook(lambda m, g: (g[0] * 2,))
        layer.register_full_backward_hook(lambda m, gi, go, calls=calls: calls.append((gi, go)))
        if trained_input:
            layer.register_full_backward_hook(lambda m, gi, go: (gi[0] + 1,))
        (layer(x) ** 2).sum().backward()
        (grad_in, grad_out), *rest = calls
        assert not rest
        parts = (grad_in[0], grad_out[0], x.grad, layer.weight.grad)
        seen.append([None if p is None else p.detach().numpy() for p in parts])
    for mine, theirs in zip(*seen):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            np.testing.assert_allclose(mine, theirs, rtol=1e-5)


# ---- conversion, copies


def test_conversion_is_in_place():
    net = network(nn, mezzo)
    weight = net.first.weight
    net(mezzo.tensor(values(5, 3))).sum().backward()
    assert net.half() is net and net.first.weight is weight is net.head.weight
    assert weight.dtype is mezzo.float16 and weight.grad.dtype is mezzo.float16
    assert net.blocks[0][1].running_mean.dtype is mezzo.float16
    assert net.blocks[0][1].num_batches_tracked.dtype is mezzo.int64
    for method in ("bfloat16", "double", "float"):
        getattr(net, method)()
        wanted = {"bfloat16": mezzo.bfloat16, "double": mezzo.float64, "float": mezzo.float32}
        assert net.scale.dtype is wanted[method]
    for call in (
        lambda: net.to(mezzo.float64), lambda: net.to("cpu", mezzo.float64),
        lambda: net.to(dtype=mezzo.float64), lambda: net.to(mezzo.zeros(1, dtype=mezzo.float64)),
    ):  # fmt: skip
        net.float()
        assert call() is net and net.scale.dtype is mezzo.float64
    assert net.cpu().scale.device.type == "cpu"
    assert not mezzo.zeros(1).is_cuda
    with pytest.raises((RuntimeError, AssertionError), match="(?i)cuda"):
        net.cuda()


def test_meta_and_to_empty():
    net = nn.Linear(1000, 1000, device="meta")
    assert net.weight.device.type == "meta" and net.weight.requires_grad
    net.to_empty(device="cpu")
    assert net.weight.device.type == "cpu" and isinstance(net.weight, nn.Parameter)
    assert nn.Linear(2, 2, dtype=mezzo.float64).weight.dtype is mezzo.float64


def test_modes_and_gradients():
    net = network(nn, mezzo)
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())
    net(mezzo.tensor(values(5, 3))).sum().backward()
    net.zero_grad(set_to_none=False)
    assert (net.first.weight.grad.numpy() == 0).all()
    net.zero_grad()
    assert net.first.weight.grad is None
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    names = []
    assert net.apply(lambda m: names.append(type(m).__name__)) is net
    assert names[-1] == "Net" and len(names) == len(list(net.modules()))


@pytest.mark.parametrize(
    "again",
    [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
    ids=["deepcopy", "pickle"],
)
def test_copies(again):
    net = Net()
    net.fc.weight.requires_grad_(True)
    other = again(net)
    assert other.fc.weight is other.tied.weight is not net.fc.weight
    assert isinstance(other.fc.weight, nn.Parameter) and other.fc.weight.requires_grad
    x = mezzo.tensor(values(3, 2))
    np.testing.assert_array_equal(net(x).detach().numpy(), other(x).detach().numpy())
    with mezzo.no_grad():
        other.fc.weight.mul_(2.0)
        other.steps.add_(1.0)
    assert not np.allclose(net(x).detach().numpy(), other(x).detach().numpy())
    assert net.steps.item() == 0


# ---- containers


def test_sequential():
    layers = [nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)]
    net = nn.Sequential(*layers)
    assert len(net) == 3 and net[-1] is layers[2] and list(net) == layers and layers[1] in net
    assert list(net[1:]._modules) == ["1", "2"] and isinstance(net[:2], nn.Sequential)
    named = nn.Sequential(OrderedDict(a=layers[0], b=layers[1]))
    assert named.a is named[0] and list(named.state_dict()) == ["a.weight", "a.bias"]
    net.append(nn.Tanh()).insert(1, nn.Identity()).extend([nn.GELU()])
    kinds = [type(m).__name__ for m in net]
    assert kinds == ["Linear", "Identity", "ReLU", "Linear", "Tanh", "GELU"]
    assert list(net._modules) == list("012345")
    del net[1]
    assert isinstance(net.pop(-1), nn.GELU) and list(net._modules) == list("0123")
    net[1] = nn.SELU()
    assert isinstance(net[1], nn.SELU) and len(net + nn.Sequential(nn.ReLU())) == 5
    for call, kind in (
        (lambda: net[9], IndexError), (lambda: nn.Sequential(3), TypeError),
        (lambda: net.extend(3), TypeError), (lambda: net + [1], ValueError),
    ):  # fmt: skip
        with pytest.raises(kind):
            call()


@pytest.mark.parametrize(
    "make",
    [
        lambda n, t: n.ModuleList(),
        lambda n, t: n.ModuleList([n.Linear(2, 2), n.Linear(2, 2), n.ReLU()]) + [n.ReLU()],
        lambda n, t: n.ModuleList([n.Sequential(n.Linear(2, 2), n.ReLU())] * 2)[:2],
        lambda n, t: n.ModuleDict({"a": n.ReLU(), "b": n.Linear(1, 1)}),
        lambda n, t: n.ModuleDict([["a", n.ReLU()]]),
        lambda n, t: n.ParameterList([t.ones(2), n.Parameter(t.zeros(1, 2))]),
        lambda n, t: n.ParameterList([t.ones(2)]).append(t.ones(3)).extend([t.zeros(1)])[1:],
        lambda n, t: n.Sequential(),
    ],
)
def test_containers_look_alike(make):
    mine, theirs = make(nn, mezzo), make(torch.nn, torch)
    assert repr(mine).replace("mezzo.", "torch.") == repr(theirs)
    assert list(mine.state_dict()) == list(theirs.state_dict()) and len(mine) == len(theirs)


def test_dicts():
    modules = nn.ModuleDict({"a": nn.ReLU()})
    modules["b"] = nn.Tanh()
    assert list(modules) == ["a", "b"] == list(modules.keys()) and "a" in modules
    assert isinstance(modules.pop("a"), nn.ReLU) and [k for k, _ in modules.items()] == ["b"]
    modules.clear()
    assert len(modules) == 0
    parameters = nn.ParameterDict({"w": mezzo.ones(2), "keep": 3})
    assert isinstance(parameters["w"], nn.Parameter) and parameters["keep"] == 3
    assert [n for n, _ in parameters.named_parameters()] == ["w"]
    parameters["v"] = nn.Parameter(mezzo.zeros(1))
    assert set(parameters.keys()) == {"w", "keep", "v"} and parameters.get("x", 1) == 1
    assert parameters.pop("keep") == 3 and len(parameters) == 2
    with pytest.raises(KeyError):
        parameters["keep"]
    listed = nn.ParameterList([mezzo.ones(1)])
    listed += [mezzo.zeros(2)]
    listed[0] = mezzo.zeros(3)
    assert [tuple(p.shape) for p in listed] == [(3,), (2,)] and isinstance(listed[-1], nn.Parameter)
    with pytest.raises(IndexError):
        listed[2]


def test_whole_model_in_a_file():
    file = io.BytesIO()
    pickle.dump(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.3)), file)
    file.seek(0)
    assert repr(pickle.load(file)[2]) == "Dropout(p=0.3, inplace=False)"
