"""Modules, optimizers, schedulers, data, autocast: every program does what it does in PyTorch."""

from __future__ import annotations

import pytest
from user_programs import check

PROGRAMS = [
    "m=nn.Linear(3,2); sorted(m.state_dict()), [n for n,_ in m.named_parameters()], m.weight.shape, m(torch.ones(4,3)).shape",
    "m=nn.Linear(3,2); m.load_state_dict({'weight':torch.ones(2,3)})",
    "m=nn.Linear(3,2); m.load_state_dict({'weight':torch.ones(2,3),'bias':torch.zeros(2),'x':torch.ones(1)})",
    "m=nn.Linear(3,2); m.load_state_dict({'weight':torch.ones(3,3),'bias':torch.zeros(2)})",
    "m=nn.Linear(3,2); r=m.load_state_dict({'weight':torch.ones(2,3)},strict=False); r.missing_keys, r.unexpected_keys",
    "repr(nn.Sequential(nn.Linear(3,2),nn.ReLU(),nn.Conv2d(1,2,3,padding=1),nn.BatchNorm2d(2),nn.Dropout(0.5),nn.MaxPool2d(2),nn.Embedding(3,4),nn.LayerNorm(5),nn.GELU(),nn.Softmax(dim=1)))",
    "m=nn.Linear(3,2); m(torch.ones(4,5))",
    "m=nn.Linear(3,2); m(torch.ones(4,3,dtype=torch.float64))",
    "m=nn.Linear(3,2); m(torch.ones(4,3,dtype=torch.int64))",
    "m=nn.Linear(3,2).half(); m(torch.ones(4,3))",
    "m=nn.Linear(3,2).bfloat16(); m(torch.ones(4,3,dtype=torch.bfloat16)).dtype",
    "m=nn.Linear(3,2).double(); m(torch.ones(4,3,dtype=torch.float64)).dtype, m.to(torch.float32).weight.dtype",
    "m=nn.Linear(3,2).to('meta'); m.weight.device, m(torch.ones(1,3,device='meta')).shape",
    "m=nn.Linear(3,2,device='meta'); m=m.to_empty(device='cpu'); m.weight.shape",
    "m=nn.Linear(3,2).cuda()",
    "m=nn.Conv2d(3,8,3); m(torch.ones(1,4,8,8))",
    "m=nn.Conv2d(3,8,3); m(torch.ones(3,8,8)).shape",
    "m=nn.Conv2d(3,8,3); m(torch.ones(8,8))",
    "m=nn.Conv2d(3,8,9); m(torch.ones(1,3,8,8))",
    "m=nn.Conv2d(3,8,3); m(torch.ones(0,3,8,8)).shape",
    "m=nn.BatchNorm2d(3); m(torch.ones(2,4,5,5))",
    "m=nn.BatchNorm1d(3); m(torch.ones(1,3))",
    "m=nn.BatchNorm2d(3); m(torch.randn(2,3,4,4)); sorted(m.state_dict()), m.num_batches_tracked",
    "m=nn.LayerNorm(5); m(torch.ones(2,4))",
    "m=nn.LayerNorm(5); m(torch.ones(0,5)).shape",
    "m=nn.Linear(3,2); m(torch.ones(0,3)).sum().backward(); m.weight.grad",
    "nn.Linear(0,2)(torch.ones(2,0)).shape",
    "F.softmax(torch.ones(0,3),1).shape, F.relu(torch.ones(0)), F.gelu(torch.ones(0,2)).shape, F.dropout(torch.ones(0)).shape, F.layer_norm(torch.ones(0,3),(3,)).shape",
    "F.cross_entropy(torch.ones(0,3),torch.ones(0,dtype=torch.int64))",
    "F.mse_loss(torch.ones(0),torch.ones(0)), F.l1_loss(torch.ones(0),torch.ones(0))",
    "F.max_pool2d(torch.ones(0,3,4,4),2).shape",
    "F.max_pool2d(torch.ones(1,3,4,4),2).shape, F.avg_pool2d(torch.ones(1,3,4,4),2), F.adaptive_avg_pool2d(torch.ones(1,3,4,4),1)",
    "F.scaled_dot_product_attention(torch.ones(1,2,3,4),torch.ones(1,2,3,4),torch.ones(1,2,3,4)).shape",
    "F.embedding(torch.ones(0,dtype=torch.int64),torch.ones(3,2)).shape",
    "F.embedding(torch.tensor([0.5]),torch.ones(3,2))",
    "nn.Embedding(3,2,padding_idx=0)(torch.tensor([[0,1],[2,0]])).shape",
    "F.dropout(torch.ones(3),p=2.0)",
    "F.dropout(torch.ones(3),p=1.0), F.dropout(torch.ones(3),p=0.0), F.dropout(torch.ones(3),training=False)",
    """class M(nn.Module):
    def __init__(self):
        self.a=nn.Linear(1,1)
M()
""",
    """class M(nn.Module):
    def __init__(self):
        super().__init__(); self.a=nn.Linear(1,1); self.register_buffer('b',torch.ones(1)); self.w=nn.Parameter(torch.ones(2)); self.l=nn.ModuleList([nn.Linear(1,1)]); self.d=nn.ModuleDict({'x':nn.ReLU()})
    def forward(self,x): return self.a(x)*self.b
m=M(); [n for n,_ in m.named_parameters()], [n for n,_ in m.named_buffers()], [n for n,_ in m.named_modules()], sorted(m.state_dict()), repr(m), len(list(m.children())), m.training, m.eval().training
""",
    "m=nn.Linear(1,1); m.foo",
    "m=nn.Linear(1,1); m.weight=torch.ones(1,1)",
    "m=nn.Linear(1,1); m.weight=nn.Parameter(torch.ones(1,1)); del m.bias; [n for n,_ in m.named_parameters()]",
    "m=nn.Module(); m(3)",
    "m=nn.Linear(2,2); out=[]; h=m.register_forward_hook(lambda mod,i,o: out.append(o.shape)); h2=m.register_forward_pre_hook(lambda mod,i: (i[0]*2,)); h3=m.register_full_backward_hook(lambda mod,gi,go: out.append(go[0].shape)); m(torch.ones(1,2,requires_grad=True)).sum().backward(); h.remove(); h2.remove(); h3.remove(); out",
    "m=nn.Sequential(nn.Linear(2,3),nn.ReLU(),nn.Linear(3,1)); m[0].out_features, len(m), m[-1].weight.shape, [type(x).__name__ for x in m], m[:2][1].__class__.__name__",
    "m=nn.Linear(2,2); n=nn.Linear(2,2); n.weight=m.weight; l=nn.ModuleList([m,n]); len(list(l.parameters())), m.weight is n.weight",
    "import copy; m=nn.Sequential(nn.Linear(2,2)); m2=copy.deepcopy(m); m2[0].weight is m[0].weight, (m2[0].weight==m[0].weight).all()",
    "m=nn.Linear(2,2); m.requires_grad_(False); [p.requires_grad for p in m.parameters()]",
    "m=nn.Linear(2,2); m(torch.ones(1,2)).sum().backward(); m.zero_grad(); m.weight.grad",
    "m=nn.Linear(2,2); m.apply(lambda x: nn.init.constant_(x.weight,3.) if isinstance(x,nn.Linear) else None); m.weight",
    "m=nn.Linear(2,2); m.get_parameter('weight').shape, m.get_submodule('').__class__.__name__",
    """m=nn.Linear(2,1); torch.nn.init.ones_(m.weight); nn.init.zeros_(m.bias); o=torch.optim.SGD(m.parameters(),lr=0.1,momentum=0.9)
for _ in range(5):
    o.zero_grad(); l=((m(torch.tensor([[1.,2.]]))-5)**2).mean(); l.backward(); o.step()
m.weight, m.bias, l
""",
    """def tr(cls,**k):
    m=nn.Linear(2,1); nn.init.ones_(m.weight); nn.init.zeros_(m.bias); o=cls(m.parameters(),**k)
    for _ in range(6):
        o.zero_grad(); l=((m(torch.tensor([[1.,2.],[3.,-1.]]))-5)**2).mean(); l.backward(); o.step()
    return m.weight.detach(), m.bias.detach()
O=torch.optim; tr(O.Adam,lr=.01), tr(O.AdamW,lr=.01,weight_decay=.1), tr(O.Adam,lr=.01,amsgrad=True,weight_decay=.1), tr(O.RMSprop,lr=.01), tr(O.RMSprop,lr=.01,centered=True,momentum=.9), tr(O.Adagrad,lr=.1), tr(O.SGD,lr=.01,nesterov=True,momentum=.9,weight_decay=.1), tr(O.SGD,lr=.01,maximize=True), tr(O.SGD,lr=.01,momentum=.9,dampening=.5), tr(O.Adam,lr=.01,betas=(.5,.9),eps=1e-3)
""",
    "o=torch.optim.SGD([torch.ones(1,requires_grad=True)],lr=-1)",
    "torch.optim.SGD([],lr=0.1)",
    "torch.optim.SGD(torch.ones(1,requires_grad=True),lr=0.1)",
    "torch.optim.SGD([torch.ones(1,requires_grad=True)*2],lr=0.1)",
    "torch.optim.SGD([1.0],lr=0.1)",
    "a=torch.ones(1,requires_grad=True); b=torch.ones(1,requires_grad=True); o=torch.optim.SGD([{'params':[a],'lr':1.0},{'params':b}],lr=0.1); (a+b).backward(); o.step(); a,b,len(o.param_groups),o.param_groups[0]['lr'],sorted(o.param_groups[1])",
    "a=torch.ones(1,requires_grad=True); o=torch.optim.Adam([a],lr=.1); a.backward(); o.step(); sd=o.state_dict(); o2=torch.optim.Adam([a],lr=.5); o2.load_state_dict(sd); o2.param_groups[0]['lr'], sorted(o2.state[a]), sd['state'][0]['step'], sorted(sd)",
    "a=torch.ones(1,requires_grad=True); o=torch.optim.SGD([a],lr=.1); o.add_param_group({'params':[torch.ones(2,requires_grad=True)]}); len(o.param_groups), repr(o)[:30]",
    "a=torch.ones(1,requires_grad=True); o=torch.optim.SGD([a],lr=.1); o.add_param_group({'params':[a]})",
    """a=torch.ones(1,requires_grad=True); o=torch.optim.SGD([a],lr=.1)
def closure():
    o.zero_grad(); l=(a**2).sum(); l.backward(); return l
o.step(closure), a
""",
    "a=torch.ones(3,requires_grad=True); (a*torch.tensor([3.,4.,0.])).sum().backward(); n=nn.utils.clip_grad_norm_([a],1.0); n, a.grad",
    "a=torch.ones(3,requires_grad=True); (a*torch.tensor([3.,4.,0.])).sum().backward(); nn.utils.clip_grad_value_([a],1.0); a.grad",
    "a=torch.ones(1,requires_grad=True); a.grad=torch.tensor([float('nan')]); nn.utils.clip_grad_norm_([a],1.0,error_if_nonfinite=True)",
    """S=torch.optim.lr_scheduler
def run(f,n=8):
    a=torch.ones(1,requires_grad=True); o=torch.optim.SGD([a],lr=1.0); s=f(o); r=[]
    for i in range(n):
        o.step(); s.step(); r.append(o.param_groups[0]['lr'])
    return r, s.get_last_lr()
run(lambda o:S.StepLR(o,3,0.5)), run(lambda o:S.MultiStepLR(o,[2,4])), run(lambda o:S.ExponentialLR(o,.9)), run(lambda o:S.CosineAnnealingLR(o,8)), run(lambda o:S.LambdaLR(o,lambda e:1/(e+1))), run(lambda o:S.LinearLR(o)), run(lambda o:S.OneCycleLR(o,1.0,total_steps=10)), run(lambda o:S.CosineAnnealingWarmRestarts(o,3)), run(lambda o:S.PolynomialLR(o,5)), run(lambda o:S.ConstantLR(o)), run(lambda o:S.CyclicLR(o,.1,1.,3)), run(lambda o:S.SequentialLR(o,[S.ConstantLR(o,total_iters=2),S.ExponentialLR(o,.9)],[3]))
""",
    """a=torch.ones(1,requires_grad=True); o=torch.optim.SGD([a],lr=1.0); s=torch.optim.lr_scheduler.ReduceLROnPlateau(o,patience=1); r=[]
for l in [1,1,1,1,.5,.5,.5,.5]: s.step(l); r.append(o.param_groups[0]['lr'])
r
""",
    "import tempfile,os; p=os.path.join(tempfile.mkdtemp(),'a.pt'); torch.save({'a':torch.ones(2),'b':[1,'x'],'m':nn.Linear(2,2).state_dict()},p); d=torch.load(p); d['a'],d['b'],sorted(d['m'])",
    "D=torch.utils.data; ds=D.TensorDataset(torch.arange(6).reshape(3,2),torch.arange(3)); [[x,y] for x,y in D.DataLoader(ds,batch_size=2)], len(D.DataLoader(ds,batch_size=2,drop_last=True)), ds[1], len(ds)",
    """D=torch.utils.data
class DS(D.Dataset):
    def __len__(self): return 4
    def __getitem__(self,i): return {'x':i,'y':float(i),'n':np.float32(i),'a':np.arange(2),'s':'t','t':(i,torch.ones(1))}
next(iter(D.DataLoader(DS(),batch_size=2)))
""",
    """D=torch.utils.data
class DS(D.IterableDataset):
    def __iter__(self): return iter(range(5))
[b for b in D.DataLoader(DS(),batch_size=2)]
""",
    "D=torch.utils.data; g=torch.Generator().manual_seed(0); a,b=D.random_split(range(10),[7,3],generator=g); len(a),len(b), len(D.Subset(range(5),[1,2])), len(D.ConcatDataset([range(2),range(3)]))",
    "D=torch.utils.data; sorted(torch.cat([b for b in D.DataLoader(range(10),batch_size=3,shuffle=True)]).tolist()), D.default_collate([1,2]), [b for b in D.DataLoader(range(4),batch_size=None)], [b for b in D.DataLoader(range(4),batch_sampler=D.BatchSampler(D.SequentialSampler(range(4)),2,False))]",
    "D=torch.utils.data; D.DataLoader(range(3),batch_size=0)",
    "D=torch.utils.data; D.DataLoader(range(3),shuffle=True,sampler=D.SequentialSampler(range(3)))",
    "D=torch.utils.data; D.default_collate([torch.ones(2),torch.ones(3)])",
    "m=nn.MultiheadAttention(4,2,batch_first=True); o,w=m(torch.ones(1,3,4),torch.ones(1,3,4),torch.ones(1,3,4)); o.shape,w.shape",
    "m=nn.TransformerEncoderLayer(4,2,8,batch_first=True); m.eval()(torch.ones(1,3,4)).shape",
    "m=nn.TransformerEncoder(nn.TransformerEncoderLayer(4,2,8,batch_first=True),2); m.eval()(torch.ones(1,3,4)).shape",
    """with torch.autocast('cpu',dtype=torch.bfloat16): r=nn.Linear(2,2)(torch.ones(1,2)).dtype, (torch.ones(2,2)@torch.ones(2,2)).dtype, F.softmax(torch.ones(2,2,dtype=torch.bfloat16),1).dtype, F.mse_loss(torch.ones(1,dtype=torch.bfloat16),torch.ones(1,dtype=torch.bfloat16)).dtype
r
""",
    """with torch.autocast('cpu',dtype=torch.float64): r=(torch.ones(2,2)@torch.ones(2,2)).dtype
r
""",
    "with torch.autocast('xyz'): pass",
    "torch.autocast()",
    """with torch.autocast('cpu'): r=(torch.ones(2,2)@torch.ones(2,2)).dtype
r
""",
    "nn.Linear(2.5,3)",
    "nn.Linear(-1,3)",
    "nn.Conv2d(3,4,3,groups=2)",
    "nn.Conv2d(3,4,3,padding='foo')",
    "nn.Dropout(2)",
    "nn.Embedding(3,2)(torch.tensor([-1]))",
]


@pytest.mark.parametrize("text", PROGRAMS)
def test_as_in_pytorch(text):
    check(text)
