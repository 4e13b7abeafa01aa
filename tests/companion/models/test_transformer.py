"""The Transformer against PyTorch's own layers and a loop over events."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from behaviorseq.models.transformer import (
    Block,
    ESASRec,
    LiGRBlock,
    SASRec,
    SelfAttention,
    Transformer,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_attention_equals_a_loop_over_events_and_heads():
    attention = SelfAttention(6, heads=2).double()
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    q, k, v = attention.project(x).split(6, dim=2)
    expected = torch.zeros_like(x)
    for b in range(2):
        for i in range(5):
            for head in (slice(0, 3), slice(3, 6)):
                scores = [q[b, i, head] @ k[b, j, head] / math.sqrt(3) for j in range(i + 1)]
                shares = torch.stack(scores).softmax(0)
                expected[b, i, head] = sum(a * v[b, j, head] for j, a in enumerate(shares))
    torch.testing.assert_close(attention(x), attention.out(expected))


def torch_layer(block, width, heads, inner):
    """Give PyTorch's own layer the weights of a block."""
    layer = nn.TransformerEncoderLayer(
        width, heads, inner, dropout=0.0, batch_first=True, norm_first=True, dtype=torch.float64
    )
    pairs = (
        (layer.self_attn.in_proj_weight, block.attention.project.weight),
        (layer.self_attn.in_proj_bias, block.attention.project.bias),
        (layer.self_attn.out_proj.weight, block.attention.out.weight),
        (layer.self_attn.out_proj.bias, block.attention.out.bias),
        (layer.linear1.weight, block.feed_forward[0].weight),
        (layer.linear1.bias, block.feed_forward[0].bias),
        (layer.linear2.weight, block.feed_forward[2].weight),
        (layer.linear2.bias, block.feed_forward[2].bias),
    )
    norms = ((layer.norm1, block.norm1), (layer.norm2, block.norm2))
    with torch.no_grad():
        for theirs, ours in pairs:
            theirs.copy_(ours)
        for theirs, ours in norms:
            ours.weight.uniform_(0.5, 1.5)
            theirs.load_state_dict(ours.state_dict())
    return layer, pairs


def test_a_block_equals_torchs_layer_in_value_and_gradient():
    block = Block(8, heads=2, inner=12, dropout=0.0).double()
    layer, pairs = torch_layer(block, 8, 2, 12)
    x = torch.randn(3, 7, 8, dtype=torch.float64)
    mask = nn.Transformer.generate_square_subsequent_mask(7, dtype=torch.float64)
    ours, theirs = block(x), layer(x, src_mask=mask, is_causal=True)
    torch.testing.assert_close(ours, theirs)
    direction = torch.randn_like(ours)
    (ours * direction).sum().backward()
    (theirs * direction).sum().backward()
    for parameter, own in pairs:
        torch.testing.assert_close(own.grad, parameter.grad)


def test_attention_maps_are_what_attention_uses():
    net = Transformer(9, width=8, length=6, layers=2, heads=2).eval()
    items, mask = torch.randint(9, (2, 6)), torch.ones(2, 6, dtype=torch.bool)
    maps = net.attention_maps(items, mask)
    assert [m.shape for m in maps] == [(2, 2, 6, 6)] * 2
    x = net.embed(items, mask)
    for block, weights in zip(net.blocks, maps, strict=True):
        torch.testing.assert_close(weights.sum(dim=3), torch.ones(2, 2, 6))
        assert not weights.triu(1).any()
        inside = block.norm1(x)
        _, _, v = block.attention.split(inside)
        mixed = (weights @ v).transpose(1, 2).flatten(2)
        torch.testing.assert_close(block.attention.out(mixed), block.attention(inside))
        x = block(x)


def test_positions_count_back_from_the_last_event():
    net = Transformer(9, width=4, length=6).eval()
    items = torch.zeros(2, 3, dtype=torch.long)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    places = (net.embed(items, mask) - net.items(items))[mask]
    torch.testing.assert_close(places, net.positions.weight[[2, 1, 0, 1, 0]])


def test_dropout_is_on_in_training_only():
    net = Transformer(9, width=8, length=6, dropout=0.5)
    items, mask = torch.randint(9, (2, 6)), torch.ones(2, 6, dtype=torch.bool)
    assert not torch.equal(net(items, mask), net(items, mask))
    net.eval()
    assert torch.equal(net(items, mask), net(items, mask))


def test_parameters_are_as_many_as_counted_by_hand():
    n_items, width, length, layers, inner = 100, 16, 10, 3, 24
    net = Transformer(n_items, width=width, length=length, layers=layers, heads=2, inner=inner)
    attention = 4 * (width * width + width)
    feed_forward = 2 * width * inner + inner + width
    block = attention + feed_forward + 2 * 2 * width
    expected = (n_items + length) * width + layers * block + 2 * width
    assert sum(p.numel() for p in net.parameters()) == expected
    assert np.isclose(net.items.weight.std().item(), width**-0.5, rtol=0.1)


def test_a_ligr_block_equals_torchs_attention_and_the_equations():
    block = LiGRBlock(8, heads=2, inner=12, dropout=0.0).double()
    attention = nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        attention.in_proj_weight.copy_(block.attention.project.weight)
        attention.in_proj_bias.copy_(block.attention.project.bias.uniform_(-1, 1))
        attention.out_proj.load_state_dict(block.attention.out.state_dict())
    x = torch.randn(3, 7, 8, dtype=torch.float64)
    later = torch.ones(7, 7, dtype=torch.bool).triu(1)
    y = block.norm1(x)
    mixed, _ = attention(y, y, y, attn_mask=later)
    z = x + mixed / (1 + torch.exp(-(x @ block.gate1.weight.T + block.gate1.bias)))
    y, inside = block.norm2(z), block.feed_forward
    opened = y @ inside.gate.weight.T
    added = (opened / (1 + torch.exp(-opened)) * (y @ inside.up.weight.T)) @ inside.down.weight.T
    theirs = z + added / (1 + torch.exp(-(z @ block.gate2.weight.T + block.gate2.bias)))
    ours = block(x)
    torch.testing.assert_close(ours, theirs)
    direction = torch.randn_like(ours)
    others = [p for name, p in block.named_parameters() if not name.startswith("attention.")]
    mine = torch.autograd.grad((ours * direction).sum(), [*others, *block.attention.parameters()])
    reference = torch.autograd.grad(
        (theirs * direction).sum(),
        [
            *others,
            attention.in_proj_weight,
            attention.in_proj_bias,
            attention.out_proj.weight,
            attention.out_proj.bias,
        ],
    )
    for a, b in zip(mine, reference, strict=True):
        torch.testing.assert_close(a, b)


def test_esasrec_has_gated_blocks_of_four_times_the_width_inside():
    net = ESASRec(width=8, layers=3).encoder(9)
    assert [type(block) for block in net.blocks] == [LiGRBlock] * 3
    assert net.blocks[0].feed_forward.gate.out_features == 32
    assert ESASRec(width=8, inner=5).encoder(9).blocks[0].feed_forward.gate.out_features == 5
    assert SASRec(width=8).encoder(9).blocks[0].feed_forward[0].out_features == 8
