"""The code blocks of five tutorials that mezzo must run, as their authors wrote them.

Each block says what it needs supplied, and what its text says comes out is asserted. The only edits are made
by `port`: the imports name mezzo, and CUDA devices become the CPU where there is no GPU.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Block:
    """One code block: where it stands, its text, what a reader supplies, what must hold afterwards."""

    name: str
    text: str
    supply: str = ""
    expect: str = ""
    raises: type[Exception] | None = None
    message: str = ""


_TINY = """
model = nn.Linear(10, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
criterion = loss_fn = nn.MSELoss()
x, y = torch.randn(32, 10), torch.randn(32, 1)
dataloader = [(torch.randn(8, 10), torch.randn(8, 1)) for _ in range(3)]
MyModel, epochs = (lambda: nn.Linear(10, 1)), 2
before = [p.detach().clone() for p in model.parameters()]
"""

BLOCKS = [
    Block("amp: basic use", """
import torch
import torch.nn as nn
import torch.optim as optim

model = nn.Linear(10, 1).cuda()
optimizer = optim.Adam(model.parameters(), lr=0.001)
criterion = nn.MSELoss()

x = torch.randn(32, 10).cuda()
y = torch.randn(32, 1).cuda()

with torch.cuda.amp.autocast():
    y_pred = model(x)
    loss = criterion(y_pred, y)

print(loss.dtype)
""", expect="assert loss.dtype is torch.float32 and y_pred.dtype is torch.bfloat16"),
    Block("amp: training loop", """
scaler = torch.cuda.amp.GradScaler()

for epoch in range(10):
    optimizer.zero_grad()

    with torch.cuda.amp.autocast():
        y_pred = model(x)
        loss = criterion(y_pred, y)

    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
""", supply=_TINY, expect="""
assert scaler.is_enabled() and scaler.get_scale() == 65536.0
assert all((a != b).any() for a, b in zip(before, model.parameters()))
"""),
    Block("devices do not mix", """
import torch

a = torch.tensor([[1, 2], [3, 4]], device='cuda')
b = torch.tensor([[5, 6], [7, 8]], device='cpu')
b.to('cpu')
c = a + b
c.device
""".replace("'cuda'", "'meta'"), raises=RuntimeError, message="meta.*cpu"),
    Block("no_grad and NumPy", """
with torch.no_grad():
  x_t = torch.rand(3,4)
  y_np = np.ones((4, 2), dtype=np.float32)
  x_t @ torch.from_numpy(y_np)  # dot product in torch
  np.dot(x_t.numpy(), y_np)  # the same dot product in numpy
""", expect="""
np.testing.assert_allclose((x_t @ torch.from_numpy(y_np)).numpy(), np.dot(x_t.numpy(), y_np), rtol=1e-6)
"""),
    Block("detach and move", """
import torch

tensor1 = torch.tensor([1.0,2.0],requires_grad=True,device='cuda')

print(tensor1)
print(type(tensor1))
print(tensor1.device)

tensor1 = tensor1.detach().to('cpu')
print(tensor1.device)
print(tensor1)
tensor1 = tensor1.numpy()

print(tensor1)
print(type(tensor1))
""", expect="assert type(tensor1) is np.ndarray and tensor1.tolist() == [1.0, 2.0]"),
    Block("creation", """
import numpy as np
import torch

np_arr = np.array([1, 2, 3])
np_zeros = np.zeros((3, 4))
np_rand = np.random.randn(3, 4)

pt_tensor = torch.tensor([1, 2, 3])
pt_zeros = torch.zeros(3, 4)
pt_rand = torch.randn(3, 4)
""", expect="""
assert pt_tensor.tolist() == [1, 2, 3] and pt_tensor.dtype is torch.int64
assert pt_zeros.shape == (3, 4) and pt_rand.dtype is torch.float32
"""),
    Block("conversion shares memory", """
tensor = torch.from_numpy(np_arr)
array = tensor.numpy()
""", supply="np_arr = np.array([1, 2, 3])", expect="""
np_arr[0] = 7
assert tensor[0].item() == 7 and array[0] == 7 and np.shares_memory(array, np_arr)
"""),
    Block("autograd: the derivative is 7", """
x = torch.tensor([2.0], requires_grad=True)
y = x ** 2 + 3 * x + 1
y.backward()
print(x.grad)
""", expect="assert x.grad.tolist() == [7.0] and repr(x.grad) == 'tensor([7.])'"),
    Block("gradients accumulate", """
x.grad.zero_()
""", supply="x = torch.tensor([2.0], requires_grad=True); (x ** 2).backward(); (x ** 2).backward(); assert x.grad.item() == 8",
          expect="assert x.grad.tolist() == [0.0]"),
    Block("operations and broadcasting", """
a = torch.tensor([[1, 2], [3, 4]], dtype=torch.float32)
b = torch.tensor([[5, 6], [7, 8]], dtype=torch.float32)

c = a + b
c = a * b
c = a @ b
c = torch.matmul(a, b)

a = torch.tensor([[1], [2], [3]])
b = torch.tensor([10, 20, 30])
d = a + b
""", expect="""
assert c.tolist() == [[19, 22], [43, 50]]
assert d.shape == (3, 3) and d.tolist() == [[11, 21, 31], [12, 22, 32], [13, 23, 33]]
"""),
    Block("devices", """
if torch.cuda.is_available():
    device = torch.device('cuda')
else:
    device = torch.device('cpu')

x = torch.randn(1000, 1000)
x_gpu = x.to(device)
# x_gpu = x.cuda()

y_gpu = x_gpu @ x_gpu

y_cpu = y_gpu.cpu()
""", expect="np.testing.assert_allclose(y_cpu.numpy(), x.numpy() @ x.numpy(), rtol=1e-3, atol=1e-3)"),
    Block("autograd: the derivative is 15", """
import torch

x = torch.tensor([2.0], requires_grad=True)
y = x**3 + 2*x**2 - 5*x + 3

y.backward()

print(f"f({x.item()}) = {y.item()}")
print(f"f'({x.item()}) = {x.grad.item()}")
""", expect="assert y.item() == 9.0 and x.grad.item() == 15.0"),
    Block("in-place operations", """
x = torch.tensor([1.0], requires_grad=True)
x = x + 1
""", expect="assert x.item() == 2.0 and x.grad_fn is not None"),
    Block("in-place on a leaf", """
x = torch.tensor([1.0], requires_grad=True)
x += 1
""", raises=RuntimeError, message="leaf Variable that requires grad"),
    Block("no tracking", """
with torch.no_grad():
    y = model(x)
x.requires_grad = False
""", supply=_TINY + "x = x.requires_grad_()", expect="assert not y.requires_grad and not x.requires_grad"),
    Block("detach", """
y = x.detach()
""", supply="x = torch.ones(3, requires_grad=True)", expect="assert not y.requires_grad and y.data_ptr() == x.data_ptr()"),
    Block("autocast: basic use", """
from torch.cuda.amp import autocast

with autocast():
    output = model(input)
    loss = loss_fn(output, target)
""", supply=_TINY + "input, target = x, y", expect="assert output.dtype is torch.bfloat16 and loss.dtype is torch.float32"),
    Block("autocast with GradScaler", """
from torch.cuda.amp import autocast, GradScaler

scaler = GradScaler()

for data, target in dataloader:
    optimizer.zero_grad()
    with autocast():
        output = model(data)
        loss = loss_fn(output, target)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
""", supply=_TINY, expect="assert all((a != b).any() for a, b in zip(before, model.parameters()))"),
    Block("amp: whole training loop", """
from torch.cuda.amp import autocast, GradScaler

model = MyModel().cuda()
optimizer = torch.optim.Adam(model.parameters())
scaler = GradScaler()

for epoch in range(epochs):
    for inputs, targets in dataloader:
        inputs, targets = inputs.cuda(), targets.cuda()
        optimizer.zero_grad()

        with autocast():
            outputs = model(inputs)
            loss = loss_fn(outputs, targets)

        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
""", supply=_TINY, expect="assert all(p.grad is not None for p in model.parameters())"),
    Block("clamp against log(0)", """
y = x.clamp(min=1e-8)
""", supply="x = torch.tensor([0.0, 1.0])", expect="assert y.log().isfinite().all()"),
    Block("torch.func", """
from torch.func import vmap, grad, jacrev

def single_fn(x):
    return x ** 2

batched_fn = vmap(single_fn)
result = batched_fn(torch.randn(10, 3))

def f(x):
    return (x ** 2).sum()

grad_f = grad(f)
x = torch.randn(3)
print(grad_f(x))
""", expect="""
assert result.shape == (10, 3) and (result >= 0).all()
np.testing.assert_allclose(grad_f(x).numpy(), 2 * x.numpy(), rtol=1e-6)
np.testing.assert_allclose(jacrev(single_fn)(x).numpy(), np.diag(2 * x.numpy()), rtol=1e-6)
"""),
    Block("compile: a model, and calls as before", """
import torch
model = MyModel()

compiled_model = torch.compile(model)

output = compiled_model(input_data)
""", supply=_TINY + "input_data = x", expect="""
assert output.tolist() == model(input_data).tolist() and output.requires_grad
assert list(compiled_model.state_dict()) == ["_orig_mod.weight", "_orig_mod.bias"]
"""),
    Block("compile: modes", """
model = torch.compile(model)

model = torch.compile(model, mode="max-autotune")

model = torch.compile(model, mode="reduce-overhead")
""", supply=_TINY + "plain = model", expect="""
assert model(x).tolist() == plain(x).tolist()
"""),
    Block("compile: dynamic shapes", """
model = torch.compile(model, dynamic=True)
""", supply=_TINY + "plain = model", expect="""
for n in range(1, 20):
    assert model(x[:n]).tolist() == plain(x[:n]).tolist()
"""),
]  # fmt: skip

SAM2 = Block(
    "segment a photo",
    """
import torch
from sam2.build_sam import build_sam2
from sam2.sam2_image_predictor import SAM2ImagePredictor

checkpoint = "../checkpoints/sam2.1_hiera_large.pt"
model_cfg = "configs/sam2.1/sam2.1_hiera_l.yaml"
predictor = SAM2ImagePredictor(build_sam2(model_cfg, checkpoint))

with torch.inference_mode(), torch.autocast("cuda", dtype=torch.bfloat16):
    predictor.set_image(rf"notebooks/images/cars.jpg")
    masks, _, _ = predictor.predict("")
""",
    raises=ValueError,
    message="a prompt says which object is meant.*SAM2AutomaticMaskGenerator",
)


def port(text: str, cuda: bool) -> str:
    """The block for mezzo: imports renamed; without a GPU, CUDA devices become the CPU."""
    text = text.replace("import torch.nn as nn", "import mezzo.nn as nn")
    text = text.replace("import torch.optim as optim", "import mezzo.optim as optim")
    text = text.replace("import torch\n", "import mezzo as torch\n").replace(
        "from torch.", "from mezzo."
    )
    text = text.replace("from sam2.", "from mezzo.models.sam2.")
    if not cuda:
        text = text.replace("device='cuda'", "device='cpu'").replace(".cuda()", ".cpu()")
        text = text.replace("cuda.amp", "cpu.amp")
    return text
