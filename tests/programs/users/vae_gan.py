import numpy as np
import torch
from torch import nn, optim
from torch.autograd import grad
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(20, 16)
        self.fc21 = nn.Linear(16, 4)
        self.fc22 = nn.Linear(16, 4)
        self.fc3 = nn.Linear(4, 16)
        self.fc4 = nn.Linear(16, 20)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar, eps):
        std = torch.exp(0.5 * logvar)
        torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x, eps):
        mu, logvar = self.encode(x.view(-1, 20))
        z = self.reparameterize(mu, logvar, eps)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 20), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


class Generator(nn.Module):
    def __init__(self, nz=6, ngf=4, nc=1):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 4, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, nc, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, x):
        return self.main(x)


class Discriminator(nn.Module):
    def __init__(self, ndf=4, nc=1):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(nc, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.utils.spectral_norm(nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False))
            if False
            else nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
            nn.InstanceNorm2d(ndf * 2, affine=True),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 2, 1, 4, 1, 0, bias=False),
        )

    def forward(self, x):
        return self.main(x).view(-1, 1).squeeze(1)


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight.data, 0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight.data, 1.0, 0.02)
        nn.init.constant_(m.bias.data, 0)


def gradient_penalty(D, real, fake, alpha):
    inter = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    d = D(inter)
    g = grad(
        outputs=d,
        inputs=inter,
        grad_outputs=torch.ones_like(d),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    g = g.view(g.size(0), -1)
    return ((g.norm(2, dim=1) - 1) ** 2).mean()


def main(record, fill):
    rng = np.random.default_rng(0)
    f = lambda *s: torch.from_numpy(rng.standard_normal(s).astype("float32"))
    model = fill(VAE())
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    x = f(8, 1, 4, 5).sigmoid()
    train_loss = 0
    for i in range(8):
        optimizer.zero_grad()
        recon, mu, logvar = model(x, f(8, 4))
        loss = loss_function(recon, x, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
        record("vae", loss)
    record("tot", train_loss)
    G, D = Generator(), Discriminator()
    G.apply(weights_init)
    D.apply(weights_init)
    fill(G, 1), fill(D, 2)
    crit = nn.BCEWithLogitsLoss()
    oD = optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.999))
    oG = optim.RMSprop(G.parameters(), lr=2e-3)
    for it in range(4):
        real = f(4, 1, 16, 16).tanh()
        D.zero_grad()
        label = torch.full((4,), 1.0, dtype=torch.float)
        errD_real = crit(D(real), label)
        errD_real.backward()
        D_x = D(real).mean().item()
        fake = G(f(4, 6, 1, 1))
        label.fill_(0.0)
        errD_fake = crit(D(fake.detach()), label)
        errD_fake.backward()
        gp = gradient_penalty(
            D, real, fake.detach(), torch.from_numpy(rng.random((4, 1, 1, 1), dtype="float32"))
        )
        (10 * gp).backward()
        oD.step()
        G.zero_grad()
        label.fill_(1.0)
        errG = crit(D(fake), label)
        errG.backward()
        oG.step()
        for n, v in (("dr", errD_real), ("df", errD_fake), ("gp", gp), ("g", errG), ("dx", D_x)):
            record(n, v)
    record("rm", G.main[1].running_mean)
    record("rv", G.main[1].running_var)
    record("nb", G.main[1].num_batches_tracked)
