"""Every layer against PyTorch's: printed form, state, output, gradients, in training and evaluation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo
from mezzo import nn

ACTIVATIONS = """
ReLU() ReLU(inplace=True) ReLU6() Hardtanh(-0.5,0.7) Sigmoid() Tanh() SiLU() Mish() GELU()
GELU(approximate='tanh') Softplus(2.0,1.0) LeakyReLU(0.2) ELU(0.5) SELU() CELU(1.5) Hardswish()
Hardsigmoid() Softsign() LogSigmoid() Tanhshrink() Softshrink(0.3) Hardshrink(0.3) Threshold(0.1,2.0)
GLU() GLU(dim=1) Softmax(dim=1) Softmin(dim=-1) LogSoftmax(dim=-1) Softmax2d() PReLU() PReLU(4)
Identity() Flatten() Flatten(0,1) Unflatten(1,(2,2)) PixelShuffle(2) PixelUnshuffle(2)
Upsample(scale_factor=2) Upsample(size=(3,5)) Upsample(scale_factor=2,mode='bilinear')
ZeroPad2d(1) ZeroPad2d((1,0,2,1)) ConstantPad2d(1,2.0) ReflectionPad2d(1) ReplicationPad2d(2)
CircularPad2d((1,2,0,1)) ConstantPad1d(2,0.5) ZeroPad1d(1)
MaxPool2d(2) MaxPool2d(3,2,1) MaxPool2d((2,3),stride=1) AvgPool2d(2) AvgPool2d(3,1,1,count_include_pad=False)
AdaptiveAvgPool2d(2) AdaptiveAvgPool2d((3,None)) AdaptiveMaxPool2d(2) MaxPool2d(2,ceil_mode=True)
Conv2d(4,6,3) Conv2d(4,6,3,stride=2,padding=1) Conv2d(4,4,3,groups=4,bias=False) Conv2d(4,2,(3,1),dilation=2,padding='same')
Conv2d(4,2,3,padding='valid') Conv2d(4,2,3,padding=1,padding_mode='reflect') Conv2d(4,2,3,padding='same',padding_mode='circular')
Conv2d(4,2,2,padding='same')
BatchNorm2d(4) BatchNorm2d(4,momentum=None) BatchNorm2d(4,affine=False) BatchNorm2d(4,track_running_stats=False)
InstanceNorm2d(4) InstanceNorm2d(4,affine=True,track_running_stats=True) GroupNorm(2,4) GroupNorm(4,4,affine=False)
LPPool2d(2.0,2) LPPool2d(3,(2,3),1) ChannelShuffle(2) Unfold(2) Unfold((2,3),padding=1,stride=2) LocalResponseNorm(2)
UpsamplingNearest2d(scale_factor=2) UpsamplingBilinear2d(size=(3,5))
LayerNorm(8) LayerNorm((6,8),bias=False) LayerNorm(8,elementwise_affine=False) RMSNorm(8) RMSNorm((6,8),eps=1e-3)
Linear(8,3) Linear(8,3,bias=False)
ConvTranspose2d(4,3,3) ConvTranspose2d(4,6,3,stride=2,padding=1,output_padding=1,groups=2) ConvTranspose2d(4,2,(2,3),dilation=2,bias=False)
""".split()
SEQUENCES = """
Conv1d(4,6,3) Conv1d(4,6,3,stride=2,padding=1,groups=2) Conv1d(4,2,4,padding='same')
ConvTranspose1d(4,3,3,2) Conv1d(4,2,3,padding=2,padding_mode='replicate') MaxPool1d(2) AvgPool1d(3,2) AdaptiveAvgPool1d(3)
BatchNorm1d(4) InstanceNorm1d(4) ReflectionPad1d((1,2)) ReplicationPad1d(1)
""".split()
VOLUMES = """
Conv3d(2,3,2) Conv3d(2,4,(1,2,3),stride=2,groups=2) ConvTranspose3d(2,3,2,stride=2) BatchNorm3d(2)
InstanceNorm3d(2,affine=True) ReplicationPad3d(1) MaxPool3d(2) MaxPool3d((2,3,1),2,(1,1,0)) AvgPool3d(2)
AvgPool3d(3,1,1,count_include_pad=False) AdaptiveAvgPool3d((2,None,1)) AdaptiveMaxPool3d(2)
""".split()
LOSSES = """
MSELoss() MSELoss(reduction='sum') L1Loss() L1Loss(reduction='none') SmoothL1Loss(beta=0.5)
HuberLoss(delta=0.3) PoissonNLLLoss() SoftMarginLoss() HingeEmbeddingLoss(0.5)
MultiLabelSoftMarginLoss() KLDivLoss(reduction='batchmean') KLDivLoss(log_target=True) BCEWithLogitsLoss()
BCEWithLogitsLoss(pos_weight=tensor([2.0,1.0,0.5])) BCEWithLogitsLoss(weight=tensor([2.0,1.0,0.5]))
""".split()
CLASSES = """
CrossEntropyLoss() CrossEntropyLoss(label_smoothing=0.1) CrossEntropyLoss(ignore_index=1)
CrossEntropyLoss(weight=tensor([1.0,2.0,3.0]),reduction='sum') CrossEntropyLoss(reduction='none')
MultiMarginLoss() MultiMarginLoss(2,0.5,weight=tensor([1.0,2.0,3.0])) NLLLoss() NLLLoss(weight=tensor([1.0,2.0,3.0]),ignore_index=2)
""".split()

rng = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


SIGNS = np.where(rng.random(4) > 0.5, 1.0, -1.0).astype(np.float32)
CASES = (
    [(text, floats(2, 4, 6, 8)) for text in ACTIVATIONS]
    + [(text, floats(2, 4, 10)) for text in SEQUENCES]
    + [(text, floats(2, 2, 4, 5, 3)) for text in VOLUMES]
    + [(text, floats(5, 3), floats(5, 3)) for text in LOSSES]
    + [(text, floats(5, 3), np.array([0, 2, 1, 1, 0])) for text in CLASSES]
    + [
        ("BatchNorm1d(4)", floats(6, 4)),
        ("BCELoss()", rng.random((5, 3)).astype(np.float32), rng.random((5, 3)).astype(np.float32)),
        ("CosineEmbeddingLoss(0.1)", floats(4, 3), floats(4, 3), SIGNS),
        ("MarginRankingLoss(0.2)", floats(4), floats(4), SIGNS),
        (
            "MultiLabelMarginLoss()",
            floats(3, 4),
            np.array([[1, 2, -1, 0], [3, -1, 0, 0], [-1, 0, 1, 2]]),
        ),
        ("TripletMarginWithDistanceLoss(margin=0.5)", floats(4, 3), floats(4, 3), floats(4, 3)),
        ("CosineSimilarity(dim=1)", floats(4, 3), floats(4, 3)),
        ("PairwiseDistance(keepdim=True)", floats(4, 3), floats(4, 3)),
        ("Fold((4,5),2)", floats(2, 8, 12)),
        ("EmbeddingBag(7,3)", np.array([[1, 2], [6, 0]])),
        ("EmbeddingBag(7,3,mode='sum',padding_idx=2)", np.array([1, 2, 6, 0]), np.array([0, 3])),
        ("TransformerDecoderLayer(8,2,16,dropout=0.0)", floats(5, 2, 8), floats(4, 2, 8)),
        (
            "TransformerDecoderLayer(8,2,16,dropout=0.0,norm_first=True,activation='gelu')",
            floats(5, 2, 8),
            floats(4, 2, 8),
        ),
        ("Transformer(8,2,1,2,16,dropout=0.0,batch_first=True)", floats(2, 5, 8), floats(2, 4, 8)),
        ("TripletMarginLoss(swap=True)", floats(4, 3), floats(4, 3), floats(4, 3)),
        ("GaussianNLLLoss(full=True)", floats(4, 3), floats(4, 3), rng.random((4, 3)) + 0.1),
        ("CrossEntropyLoss()", floats(2, 3, 4), rng.integers(0, 3, (2, 4))),
        ("Bilinear(3,4,2)", floats(5, 3), floats(5, 4)),
        ("Embedding(7,3)", np.array([[1, 2], [6, 0]])),
        ("Embedding(7,3,padding_idx=-1)", np.array([[1, 2], [6, 0]])),
        ("TransformerEncoderLayer(8,2,16,dropout=0.0)", floats(5, 2, 8)),
        (
            "TransformerEncoderLayer(8,2,16,dropout=0.0,norm_first=True,batch_first=True,"
            "activation='gelu',bias=False)",
            floats(2, 5, 8),
        ),
    ]
)


def build(module, text: str, tensor):
    """The layer that `text` makes, in PyTorch or mezzo."""
    return eval(text, {**vars(module), "tensor": tensor})


def load(layer, theirs) -> None:
    """Give mezzo's layer PyTorch's state."""
    state = {name: mezzo.tensor(value.numpy()) for name, value in theirs.state_dict().items()}
    layer.load_state_dict(state)


def close(ours, theirs, what: str) -> None:
    assert (ours is None) == (theirs is None), what
    if ours is not None:
        theirs = theirs.detach().numpy()
        assert tuple(ours.shape) == theirs.shape, what
        np.testing.assert_allclose(
            ours.detach().numpy(), theirs, rtol=2e-4, atol=2e-5, err_msg=what
        )


def leaf(module, array, grad: bool):
    """A leaf tensor and the (non-leaf) tensor to pass on, so that inplace layers may change it."""
    tensor = module.tensor(array)
    if not (grad and array.dtype == np.float32):
        return tensor, tensor
    tensor.requires_grad_(True)
    return tensor, tensor * 1.0


def same_text(ours: str, theirs: str) -> None:
    assert ours.replace("mezzo.", "torch.") == theirs.replace("NonDynamicallyQuantizable", "")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_layer_is_pytorchs(case, training):
    text, *arrays = case
    theirs = build(torch.nn, text, torch.tensor).train(training)
    ours = build(nn, text, mezzo.tensor).train(training)
    same_text(repr(ours), repr(theirs))
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    load(ours, theirs)
    is_loss = text.partition("(")[0].endswith("Loss")
    pairs = [
        (leaf(mezzo, a, not is_loss or i == 0), leaf(torch, a, not is_loss or i == 0))
        for i, a in enumerate(arrays)
    ]
    y, expected = ours(*(p[0][1] for p in pairs)), theirs(*(p[1][1] for p in pairs))
    close(y, expected, "output")
    g = rng.standard_normal(tuple(expected.shape)).astype(np.float32)
    if y.requires_grad:
        y.backward(mezzo.tensor(g))
        expected.backward(torch.tensor(g))
    for (mine, _), (other, _) in pairs:
        close(mine.grad, other.grad, "gradient of the input")
    for name, parameter in ours.named_parameters():
        close(parameter.grad, theirs.get_parameter(name).grad, f"gradient of {name}")
    for name, buffer in ours.named_buffers():
        close(buffer, theirs.get_buffer(name), name)


@pytest.mark.parametrize("name", ["Dropout", "Dropout1d", "Dropout2d"])
def test_dropout(name):
    x = mezzo.ones((50, 40, 6))
    if name == "Dropout2d":
        x = x.unsqueeze(-1)
    layer = getattr(nn, name)(0.25)
    same_text(repr(layer), repr(getattr(torch.nn, name)(0.25)))
    y = layer(x).numpy()
    np.testing.assert_allclose(np.unique(y), [0.0, 1 / 0.75], rtol=1e-6)
    assert 0.6 < (y != 0).mean() < 0.9
    if name != "Dropout":
        assert ((y != 0).mean(axis=2) % 1 == 0).all()
    assert (layer.eval()(x).numpy() == 1).all()
    with pytest.raises(ValueError, match="between 0 and 1"):
        getattr(nn, name)(1.5)


ATTENTION = [
    ({}, {}),
    ({"batch_first": True}, {"need_weights": False}),
    ({"bias": False}, {"average_attn_weights": False}),
    ({"add_bias_kv": True, "add_zero_attn": True}, {"padding": True}),
    ({"kdim": 5, "vdim": 7}, {"mask": True}),
    ({}, {"mask": True, "padding": True, "need_weights": False}),
    ({}, {"mask": True, "is_causal": True, "need_weights": False}),
]


@pytest.mark.parametrize(("settings", "call"), ATTENTION)
def test_multihead_attention(settings, call):
    theirs = torch.nn.MultiheadAttention(8, 2, **settings)
    ours = nn.MultiheadAttention(8, 2, **settings)
    same_text(repr(ours), repr(theirs))
    load(ours, theirs)
    length, batch = 5, 3
    lead = (batch, length) if settings.get("batch_first") else (length, batch)
    arrays = [floats(*lead, n) for n in (8, settings.get("kdim", 8), settings.get("vdim", 8))]
    call = dict(call)
    if call.pop("mask", False):
        call["attn_mask"] = np.triu(np.ones((length, length), bool), 1)
    if call.pop("padding", False):
        call["key_padding_mask"] = np.array([[0, 0, 0, 0, 1]] * batch, bool)

    def run(module, layer):
        masks = {k: module.tensor(v) if isinstance(v, np.ndarray) else v for k, v in call.items()}
        return layer(*map(module.tensor, arrays), **masks)

    for mine, other in zip(run(mezzo, ours), run(torch, theirs)):
        close(mine, other, "attention")


def test_transformer_encoder():
    def make(n):
        layer = n.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        return n.TransformerEncoder(layer, 2, norm=n.LayerNorm(8), enable_nested_tensor=False)

    theirs, ours = make(torch.nn), make(nn)
    same_text(repr(ours), repr(theirs))
    load(ours, theirs)
    x, mask = floats(2, 5, 8), np.triu(np.ones((5, 5), bool), 1)
    close(
        ours(mezzo.tensor(x), mask=mezzo.tensor(mask), is_causal=True),
        theirs(torch.tensor(x), mask=torch.tensor(mask), is_causal=True),
        "encoder",
    )


def test_output_size_of_transposed_convolutions():
    theirs, ours = torch.nn.ConvTranspose2d(1, 2, 3, 2), nn.ConvTranspose2d(1, 2, 3, 2)
    load(ours, theirs)
    x = floats(2, 1, 4, 5)
    for size in ((9, 11), (10, 12), (2, 2, 9, 12)):
        close(
            ours(mezzo.tensor(x), output_size=size),
            theirs(torch.tensor(x), output_size=size),
            f"output size {size}",
        )


def test_every_function_layer_has_its_function():
    for name in nn.__all__:
        layer = getattr(nn, name)
        if isinstance(layer, type) and issubclass(layer, nn.FunctionLayer) and layer.calls:
            assert hasattr(nn.functional, layer.calls), f"{name} calls {layer.calls}"


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "in_channels must be divisible"),
        (lambda: nn.Conv2d(2, 4, 3, padding="some"), ValueError, "padding string"),
        (lambda: nn.Conv2d(2, 4, 3, 2, padding="same"), ValueError, "strided"),
        (lambda: nn.Conv2d(2, 4, 3, padding_mode="mirror"), ValueError, "padding_mode"),
        (lambda: nn.ConvTranspose2d(2, 4, 3, padding_mode="reflect"), ValueError, "Only .zeros."),
        (
            lambda: nn.ConvTranspose2d(2, 4, 3, 2)(mezzo.zeros(1, 2, 3, 3), output_size=(7, 9)),
            ValueError,
            "valid sizes range from",
        ),
        (lambda: nn.Embedding(3, 2, padding_idx=5), ValueError, "within num_embeddings"),
        (lambda: nn.MultiheadAttention(5, 2), ValueError, "divisible by num_heads"),
        (lambda: nn.GroupNorm(3, 4), ValueError, "divisible by num_groups"),
        (lambda: nn.BatchNorm2d(3)(mezzo.zeros((2, 3))), ValueError, "expected 4D input"),
        (lambda: nn.LeakyReLU(slope=1), TypeError, "negative_slope"),
        (lambda: nn.Unflatten(1, 4), TypeError, "tuple of ints"),
        (lambda: nn.Hardtanh(1, 0), ValueError, "must be above"),
    ],
)
def test_constructor_errors(make, kind, text):
    with pytest.raises(kind, match=text):
        make()


def test_old_reduction_arguments():
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert nn.MSELoss(size_average=False).reduction == "sum"
