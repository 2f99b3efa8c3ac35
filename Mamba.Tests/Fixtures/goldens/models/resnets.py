"""Writes resnet18.json, resnet50.json and resnet20.json beside itself: PyTorch's numbers for the plain residual networks, in double precision.

The format and the filling of weights by name are those of all model goldens; see Mamba.Models/Verification/ModelGolden.cs.
Needs torch, torchvision and numpy. Run: python3 resnets.py
"""
import json, os
import numpy as np, torch, torchvision
from torch import nn
from torch.nn import functional as F


class CifarBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.pad = stride, (outputs - inputs) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, self.pad, self.pad)))


class CifarResNet(nn.Module):
    """He et al. 2016, section 4.2, with option A shortcuts and the names of akamaster/pytorch_resnet_cifar10."""

    def __init__(self, blocks):
        super().__init__()
        self.conv1, self.bn1, channels = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), 16
        for stage, width in enumerate((16, 32, 64)):
            layer = []
            for i in range(blocks):
                layer.append(CifarBlock(channels, width, 2 if stage > 0 and i == 0 else 1))
                channels = width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


def fill(name, shape, low, high):
    mask, h = (1 << 64) - 1, 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & mask
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    u = (z >> np.uint64(40)).astype(np.float64) * 2.0 ** -24
    return torch.from_numpy((low + (high - low) * u).astype(np.float32).astype(np.float64).reshape(shape))


def bounds(name, shape):
    if name.endswith("running_mean"): return -0.25, 0.25
    if name.endswith("running_var"): return 0.5, 1.5
    if len(shape) > 1:
        bound = round(float(np.sqrt(3 / np.prod(shape[1:]))), 4)
        return -bound, bound
    return (-0.125, 0.125) if name.endswith("bias") else (0.75, 1.25)


def digest(t, samples):
    flat = t.detach().flatten()
    step = max(1, flat.numel() // samples)
    return {"shape": list(t.shape), "mean": float(f"{flat.mean().item():.8g}"), "l2": float(f"{flat.norm().item():.8g}"),
            "samples": [[i, float(f"{flat[i].item():.8g}")] for i in range(0, step * samples, step) if i < flat.numel()]}


def write(name, make, size, samples, train_gradients):
    def model(noise=0.0):
        m = make().double()
        for key, t in m.state_dict().items():
            if t.is_floating_point(): t.copy_(fill(key, t.shape, *bounds(key, t.shape)))
        for p in m.parameters(): p.data *= 1 + noise * torch.randn_like(p)
        return m

    def run(mode, x, cotangent, noise=0.0):
        m = model(noise).train(mode == "train")
        x = fill(*x).requires_grad_()
        y = m(x)
        if cotangent: ((y * fill(*cotangent)).sum() / y.numel()).backward()
        result = {"output": {"output": y}}
        if cotangent:
            result["input_grad"] = {"input_grad": x.grad}
            result["grads"] = {k: p.grad for k, p in m.named_parameters()}
        if mode == "train": result["buffers"] = {k: t for k, t in m.state_dict().items() if "running" in k}
        return result

    classes = model()(torch.zeros(1, 3, size, size).double()).shape[1]
    cases = []
    base = {"output": 1e-4, "buffers": 1e-4, "grads": 1e-3, "input_grad": 1e-3}
    for mode, key, shape, gradients in (("eval", "0", (1, 3, size, size), True), ("eval", "1", (2, 3, size, size + 13), False), ("train", "t", (4, 3, size, size), train_gradients)):
        # The tolerance is five times what noise of float32's size on the weights does, and no less than a base. Inputs that bring a ReLU to its kink
        # would let nearly anything pass: the first of ten whose gradients stay within the base is taken.
        for attempt in range(10):
            x, cotangent = (f"input.{key}{attempt}", shape, 0.0, 1.0), (f"cotangent.{key}", (shape[0], classes), -1.0, 1.0) if gradients else None
            exact = run(mode, x, cotangent)
            worst = {kind: 0.0 for kind in exact}
            for seed in range(3):
                torch.manual_seed(seed)
                noisy = run(mode, x, cotangent, noise=3e-7)
                for kind, tensors in exact.items():
                    rms = {k: (t.norm() / t.numel() ** 0.5).item() for k, t in tensors.items()}
                    extra = 0.01 * max(rms.values()) if kind in ("grads", "buffers") else 0.0
                    for k, t in tensors.items(): worst[kind] = max(worst[kind], ((t - noisy[kind][k]).abs().max() / (rms[k] + extra)).item())
            if all(5 * w <= base[kind] for kind, w in worst.items() if "grad" in kind): break
        else:
            raise SystemExit(f"{name}: no input of ten is well conditioned")
        case = {"mode": mode, "input": dict(zip(("name", "shape", "low", "high"), x)), "output": digest(exact["output"]["output"], 64)}
        if cotangent:
            case["cotangent"] = dict(zip(("name", "shape", "low", "high"), cotangent))
            case["input_grad"] = digest(exact["input_grad"]["input_grad"], 64)
            case["grads"] = {k: digest(t, samples) for k, t in exact["grads"].items()}
        if mode == "train": case["buffers_after"] = {k: digest(t, samples) for k, t in exact["buffers"].items()}
        case["tolerance"] = {kind: float(f"{max(base[kind], 5 * w):.2g}") for kind, w in worst.items()}
        print(name, mode, attempt, case["tolerance"])
        cases.append(case)
    tensors = []
    for key, t in model().state_dict().items():
        if t.is_floating_point():
            low, high = bounds(key, t.shape)
            tensors.append({"name": key, "shape": list(t.shape), "low": low, "high": high})
    golden = {"model": name, "config": {}, "parameters": sum(p.numel() for p in make().parameters()), "tensors": tensors, "cases": cases}
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".json"), "w") as file:
        json.dump(golden, file, separators=(",", ":"))


write("resnet18", torchvision.models.resnet18, 64, samples=6, train_gradients=True)
write("resnet50", torchvision.models.resnet50, 64, samples=3, train_gradients=False)
write("resnet20", lambda: CifarResNet(3), 32, samples=8, train_gradients=True)
