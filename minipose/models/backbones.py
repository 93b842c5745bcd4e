"""ResNet and VGG, on which part heatmap regression builds, and their ImageNet weights.

Modules and layers bear torchvision's names, so that its weights files fit; it need not be installed.

Axes: B samples, H x W px of the images.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import relu

from minipose.io.errors import InputError

# The colours of ImageNet: torchvision's weights expect images with these taken out.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# What torchvision's files hold besides: the layers that name one of 1000 things.
HEADS = ("fc.", "classifier.6.")


class ResNet(nn.Module):
    """He et al. 2016, fully convolutional: without the average over the image and the layer behind it.

    blocks : bottlenecks of each layer; (3, 8, 36, 3) is ResNet-152. width : of the stem; the layers
    have 4, 8, 16 and 32 times as many features. pooled : a pooling ends the stem; without it, all is
    twice as fine.

    The last layer keeps its resolution (part heatmap regression, section 3.2): images (B, 3, H, W)
    become features (B, 32 width, H/16, W/16), H/8 without the pooling.
    """

    def __init__(self, blocks: tuple[int, ...] = (3, 8, 36, 3), width: int = 64, pooled: bool = True):
        super().__init__()
        self.outgoing = 32 * width
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1) if pooled else nn.Identity()
        self.layer1 = _layer(blocks[0], width, width, stride=1)
        self.layer2 = _layer(blocks[1], 4 * width, 2 * width, stride=2)
        self.layer3 = _layer(blocks[2], 8 * width, 4 * width, stride=2)
        self.layer4 = _layer(blocks[3], 16 * width, 8 * width, stride=1)  # 2 in the original

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.pool(relu(self.bn1(self.conv1(images))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class Bottleneck(nn.Module):
    """Convolutions 1x1, 3x3, 1x1 of widths inner, inner, 4 inner, plus the input, then a ReLU.

    As in torchvision the 3x3 convolution takes the stride. (B, incoming, H, W) -> (B, 4 inner, H/s, W/s).
    """

    def __init__(self, incoming: int, inner: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(incoming, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, 4 * inner, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * inner)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or incoming != 4 * inner:
            skip = nn.Conv2d(incoming, 4 * inner, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(skip, nn.BatchNorm2d(4 * inner))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = relu(self.bn1(self.conv1(x)))
        y = relu(self.bn2(self.conv2(y)))
        return relu(self.bn3(self.conv3(y)) + self.downsample(x))


def _layer(count: int, incoming: int, inner: int, stride: int) -> nn.Sequential:
    later = (Bottleneck(4 * inner, inner, 1) for _ in range(count - 1))
    return nn.Sequential(Bottleneck(incoming, inner, stride), *later)


class VGG(nn.Module):
    """Simonyan and Zisserman 2015, 16 layers, made convolutional (Long et al. 2015).

    width : of the first layers; the features are 4, 8 and 8 times as many at strides 8, 16 and 32.
    hidden, kernel : of the two layers that were fully connected; 4096 and 7 in VGG-16. normalized :
    BatchNorm after the other convolutions (torchvision's vgg16_bn).

    Images (B, 3, H, W) become features at strides 8, 16 and 32, the last of width `hidden`.
    """

    def __init__(self, width: int = 64, hidden: int = 4096, kernel: int = 7, normalized: bool = False):
        super().__init__()
        layers: list[nn.Module] = []
        incoming = 3
        for count, outgoing in ((2, width), (2, 2 * width), (3, 4 * width), (3, 8 * width), (3, 8 * width)):
            for _ in range(count):
                layers.append(nn.Conv2d(incoming, outgoing, 3, padding=1))
                layers += [nn.BatchNorm2d(outgoing)] if normalized else []
                layers.append(nn.ReLU(inplace=True))
                incoming = outgoing
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        first = nn.Conv2d(incoming, hidden, kernel, padding=kernel // 2)
        self.classifier = nn.ModuleDict({"0": first, "3": nn.Conv2d(hidden, hidden, 1)})
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # 15 layers in a row must neither grow nor fade
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        pooled = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                pooled.append(x)
        for layer in self.classifier.values():
            x = relu(layer(x))
        return pooled[2], pooled[3], x


def load_imagenet(backbone: ResNet | VGG, path: str | Path) -> None:
    """Put weights of a torchvision file (a state dict, such as resnet152's or vgg16's) into a backbone.

    Only plain tensors are read, no code is run. VGG's fully connected layers become convolutions. Raises
    `InputError` that names the first tensor that is missing, of another shape or one too many.
    """
    expected = "a state dict of plain tensors"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(path, "weights", expected, "no such file") from error
    except Exception as error:  # torch documents no exceptions for damaged files
        raise InputError(path, "weights", expected, f"a damaged file ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise InputError(path, "weights", "a state dict of torchvision", type(content).__name__)
    tensors = {}
    for name, own in backbone.state_dict().items():
        shape = tuple(own.shape)
        # Older files do not count batches; nothing here depends on the count.
        tensor = content.get(name, own if name.endswith("num_batches_tracked") else None)
        if not isinstance(tensor, torch.Tensor):
            raise InputError(path, name, f"a tensor {shape}", "none")
        if own.ndim == 4 and tensor.ndim == 2 and tensor.shape == (shape[0], own[0].numel()):
            # A fully connected layer is a convolution as large as what it looked at.
            tensor = tensor.reshape(shape)
        if tensor.shape != own.shape:
            raise InputError(path, name, f"a tensor {shape}", tuple(tensor.shape))
        if not tensor.isfinite().all():
            raise InputError(path, name, "finite numbers", "NaN or infinity")
        tensors[name] = tensor
    for name in content:
        if name not in tensors and not str(name).startswith(HEADS):
            raise InputError(path, str(name), "only the tensors of this network")
    backbone.load_state_dict(tensors)
