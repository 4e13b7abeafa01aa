"""The Transformer that looks both ways, against PyTorch's own encoder."""

import torch
from torch import nn

from behaviorseq.models.bidirectional import Bidirectional
from behaviorseq.training import MASKED

ITEMS = torch.tensor([[1, MASKED, 2, 8], [MASKED, 3, 0, 0]])
MASK = torch.tensor([[True] * 4, [True, True, False, False]])


def torch_encoder(net, width, heads, inner):
    """Give PyTorch's own layers the weights of ours."""
    layers = []
    for block in net.blocks:
        layer = nn.TransformerEncoderLayer(
            width, heads, inner, dropout=0.0, batch_first=True, norm_first=True, dtype=torch.float64
        )
        own = {
            "self_attn.in_proj_weight": block.attention.project.weight,
            "self_attn.in_proj_bias": block.attention.project.bias,
            "self_attn.out_proj.weight": block.attention.out.weight,
            "self_attn.out_proj.bias": block.attention.out.bias,
            "linear1.weight": block.feed_forward[0].weight,
            "linear1.bias": block.feed_forward[0].bias,
            "linear2.weight": block.feed_forward[2].weight,
            "linear2.bias": block.feed_forward[2].bias,
            "norm1.weight": block.norm1.weight,
            "norm1.bias": block.norm1.bias,
            "norm2.weight": block.norm2.weight,
            "norm2.bias": block.norm2.bias,
        }
        layer.load_state_dict(own)
        layers.append((layer, own))
    return layers


def test_it_equals_torchs_encoder_in_value_and_gradient():
    torch.manual_seed(0)
    net = Bidirectional(9, width=8, length=6, layers=2, heads=2, inner=12, dropout=0.0).double()
    layers = torch_encoder(net, 8, 2, 12)
    vectors = torch.stack(
        [
            torch.stack([net.hidden_item if i == MASKED else net.items.weight[i] for i in row])
            for row in ITEMS
        ]
    )
    back = torch.tensor([[3, 2, 1, 0], [1, 0, 0, 0]])
    x = vectors + net.positions.weight[back]
    for layer, _ in layers:
        x = layer(x, src_key_padding_mask=~MASK)
    theirs, ours = net.norm(x)[MASK], net(ITEMS, MASK)[MASK]
    torch.testing.assert_close(ours, theirs)
    direction = torch.randn_like(ours)
    shared = [net.items.weight, net.hidden_item, net.positions.weight]
    own = [(name, layer, p) for layer, ps in layers for name, p in ps.items()]
    mine = torch.autograd.grad((ours * direction).sum(), shared + [p for *_, p in own])
    reference = torch.autograd.grad(
        (theirs * direction).sum(), shared + [layer.get_parameter(name) for name, layer, _ in own]
    )
    for a, b in zip(mine, reference, strict=True):
        torch.testing.assert_close(a, b)


def test_each_event_sees_all_others():
    torch.manual_seed(0)
    net = Bidirectional(20, width=8, length=6).eval()
    items, mask = torch.arange(6)[None], torch.ones(1, 6, dtype=torch.bool)
    before = net(items, mask)
    for place in range(6):
        changed = items.clone()
        changed[0, place] = MASKED
        assert (net(changed, mask) != before).any(dim=2).all()


def test_attention_maps_leave_out_padding_alone():
    net = Bidirectional(9, width=8, length=6, layers=1).eval()
    (weights,) = net.attention_maps(ITEMS, MASK)
    torch.testing.assert_close(weights.sum(dim=3), torch.ones(2, 2, 4))
    assert (weights[0] > 0).all()
    assert (weights[1, :, :, :2] > 0).all()
    assert not weights[1, :, :, 2:].any()
