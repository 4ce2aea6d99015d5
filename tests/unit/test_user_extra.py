"""Complex parts, printing options, functional derivatives, anomalies: as in PyTorch."""

from __future__ import annotations

import pytest
from user_programs import check

PROGRAMS = [
    "torch.autograd.functional.jacobian(lambda x: x**2, torch.tensor([1.,2.]))",
    "torch.autograd.functional.hessian(lambda x: (x**3).sum(), torch.tensor([1.,2.]))",
    "torch.autograd.gradcheck(lambda x: x.sin(), torch.ones(2,dtype=torch.float64,requires_grad=True))",
    """with torch.autograd.set_detect_anomaly(True):
    x=torch.ones(1,requires_grad=True); (x*2).backward()
x.grad
""",
    """with torch.autograd.detect_anomaly():
    x=torch.zeros(1,requires_grad=True); (x.sqrt()*0).backward()
""",
    "x=torch.arange(24).reshape(2,3,4); x[0,:,[0,1]].shape, x[:,[0,1],1].shape, x[[0],:,[1]].shape, x[[[0,1],[1,0]]].shape, x[...,None].shape, x[True].shape, x[False].shape, x[:,None,1].shape, x[1,...,[0,1]].shape, x[()].shape, x[...].shape, x[(0,1)].shape",
    "x=torch.ones(3); np.from_dlpack(x), torch.from_dlpack(np.arange(3)), torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(x))",
    "torch.ones(3).permute(0,1)",
    "torch.randint(5,5,(1,))",
    "repr(torch.tensor([1+2j, 3.5-1j])), repr(torch.tensor(1+2j)), repr(torch.tensor([[1e10+2j]])), str(torch.zeros(2,dtype=torch.complex128))",
]


@pytest.mark.parametrize("text", PROGRAMS)
def test_as_in_pytorch(text):
    check(text)
