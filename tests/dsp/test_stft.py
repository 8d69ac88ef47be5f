"""Transforms whose windows are kept from call to call."""

import pytest
import torch

from voxmend.dsp.stft import STFT, fbank
from voxmend.operators import Mel


@pytest.mark.parametrize("transform", [
    STFT(256, 64).forward, lambda x: STFT(256, 64).inverse(STFT(256, 64).forward(x), 4000),
    lambda x: fbank(x[0]), Mel()], ids=["forward", "inverse", "fbank", "mel"])
def test_what_is_kept_in_inference_serves_gradients(transform):
    x = torch.randn(1, 1, 4000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = transform(x)
    y = x.requires_grad_()
    found = transform(y)
    torch.testing.assert_close(found.detach(), expected.clone())
    torch.view_as_real(found).sum().backward() if found.is_complex() else found.sum().backward()
    assert y.grad.isfinite().all()


def test_a_transform_serves_gradients_after_inference():
    stft, x = STFT(256, 64), torch.ones(1, 1000)
    with torch.inference_mode():
        stft.forward(x)
    stft.forward(x.requires_grad_()).abs().square().sum().backward()
    assert x.grad.abs().sum() > 0
