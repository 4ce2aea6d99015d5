"""Files, strides, arithmetic with numbers, bad input: every program does what it does in PyTorch."""

from __future__ import annotations

import pytest
from user_programs import check

PROGRAMS = [
    "torch.matmul(torch.ones(2,0),torch.ones(0,3)), torch.bmm(torch.ones(0,2,3),torch.ones(0,3,4)).shape, torch.ones(3,0)@torch.ones(0)",
    "import tempfile,os; p=os.path.join(tempfile.mkdtemp(),'a.pt'); torch.save(torch.ones(2,dtype=torch.bfloat16),p); torch.load(p,map_location='cpu',weights_only=True)",
    "import io; b=io.BytesIO(); torch.save(torch.arange(3),b); b.seek(0); torch.load(b)",
    "torch.load('/nonexistent/file.pt')",
    "torch.utils.checkpoint.checkpoint(lambda x: x*2, torch.ones(1,requires_grad=True), use_reentrant=False)",
    "x=torch.arange(6).view(2,3); x.view(torch.int32).shape, x.float().view(torch.int32), x.view(-1), x.view(3,2), x.view(3,-1), x.view_as(torch.ones(3,2))",
    "x=torch.arange(6); x.as_strided((2,2),(1,2)), x.unfold(0,2,2), x.diagonal() if 0 else 0, x.narrow(0,1,2), x.select(0,1), x.movedim(0,0), x.flatten(), x.ravel(), x.unflatten(0,(2,3)), x.swapaxes(0,0)",
    "x=torch.arange(6); x.as_strided((10,),(1,))",
    "x=torch.arange(6); x.as_strided((2,),(-1,))",
    "torch.ones(2,3).sum(1,keepdim=True), torch.ones(2,3).sum(dim=(0,1)), torch.ones(2,3).sum(dtype=torch.float64), torch.sum(torch.ones(2,3),axis=1), torch.ones(2).bool().sum(), torch.tensor([True,False]).any(), torch.tensor([True,False]).all(), torch.ones(2,3,dtype=torch.int32).sum().dtype, torch.ones(2,dtype=torch.float16).sum().dtype, torch.ones(2,dtype=torch.uint8).prod().dtype",
    "torch.clamp(torch.arange(5),1,3), torch.arange(5.).clamp(min=2), torch.clamp(torch.arange(3),min=torch.tensor(1)), torch.round(torch.tensor([0.5,1.5,2.5])), torch.round(torch.tensor(1.234),decimals=2), torch.fmod(torch.tensor(-5),3), torch.remainder(torch.tensor(-5),3), torch.tensor(-5)//3, torch.div(torch.tensor(-5),3,rounding_mode='trunc'), torch.div(torch.tensor(-5.),3,rounding_mode='floor'), 5%torch.tensor(3), 2**torch.arange(3), torch.arange(3)**2, torch.pow(2.,torch.arange(3)), 10/torch.tensor(4), 7//torch.tensor(2), 1-torch.ones(1)",
    "torch.clamp(torch.ones(1))",
    "torch.div(torch.ones(1),1,rounding_mode='x')",
    "torch.arange(3)**-1",
    "torch.arange(3)<<1, torch.arange(3)>>1, torch.arange(3)&1, torch.arange(3)|1, torch.arange(3)^1, ~torch.arange(3), ~torch.tensor([True]), True&torch.tensor([True]), 1&torch.arange(2), abs(torch.tensor(-1)), +torch.ones(1), -torch.ones(1), divmod(torch.tensor(5),2) if 0 else 0",
    "x=torch.ones(2); x.fill_(torch.tensor(3)), x.fill_(torch.ones(2))",
    "x=torch.ones(2); x.copy_(torch.ones(3))",
    "x=torch.ones(2,requires_grad=True); x.data.fill_(3); x.data=torch.zeros(2); x",
    "a=torch.ones(2); b=torch.zeros(2); torch.add(a,1,out=b); b, torch.add(a,a,alpha=2), a.add(1,alpha=2), torch.sub(a,1), torch.mul(a,2), torch.sin(a,out=b)",
    "a=torch.ones(2); b=torch.zeros(2,dtype=torch.int64); torch.add(a,1.5,out=b)",
    "import math; math.sqrt(torch.tensor(4.)), math.floor(torch.tensor(1.5)), max(torch.tensor(1),torch.tensor(2)), sum([torch.tensor(1),torch.tensor(2)]), sorted([torch.tensor(2),torch.tensor(1)]), any(torch.tensor([True])), min(torch.arange(3)), range(torch.tensor(3))[1], [1]*torch.tensor(2)",
    "a=torch.tensor([1,2]); b,c=a; b,c, a.tolist(), {a[0].item():1}, a in [a], dict(zip(['x'],a))",
    "x=torch.ones(2); n=x.numpy(); n[0]=5; x",
    "x=torch.ones(2,2).T; n=x.numpy(); n.strides",
    "torch.cat(torch.ones(2))",
    "torch.cat([torch.ones(2), 3])",
    "torch.stack([])",
    "torch.zeros(3).scatter_(0,torch.tensor([5]),1.)",
    "torch.zeros(3).index_add(0,torch.tensor([5]),torch.ones(1))",
    "torch.topk(torch.arange(3),5)",
    "torch.multinomial(torch.tensor([0.,0.]),1)",
    "torch.multinomial(torch.tensor([-1.,2.]),1)",
    "torch.bernoulli(torch.tensor([2.]))",
    "torch.normal(0.,-1.,(2,))",
    "torch.einsum('ij',torch.ones(2))",
    "torch.einsum('i->ij',torch.ones(2))",
    "torch.linspace(0,1,-1)",
    "torch.arange(0,10,0)",
    "torch.eye(-1)",
    "torch.full((2,),'a')",
    "torch.tril(torch.ones(2))",
    "torch.diag(torch.ones(2,2,2))",
    "torch.ones(2,3).t().t().shape, torch.ones(2,2,2).t()",
    "torch.split(torch.ones(3),0)",
    "torch.chunk(torch.ones(3),0)",
    "torch.ones(3).repeat(-1)",
    "torch.flip(torch.ones(2),[3])",
    "torch.cumsum(torch.ones(2),3)",
    "torch.norm(torch.ones(2,2),dim=5)",
    "torch.unique(torch.tensor([3,1,1])), torch.sort(torch.tensor([3,1,2]),stable=True), torch.argsort(torch.tensor([3,1]),descending=True)",
]


@pytest.mark.parametrize("text", PROGRAMS)
def test_as_in_pytorch(text):
    check(text)
