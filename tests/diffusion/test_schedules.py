"""Grids of noise levels: they fall, and what makes none is refused."""

import pytest
import torch

from voxmend.diffusion.schedules import geometric_grid, karras_grid

GRIDS = [karras_grid, geometric_grid]


@pytest.mark.parametrize("grid", GRIDS)
def test_a_grid_falls_from_its_first_level_to_its_last_and_0(grid):
    levels = grid(5, 2.0, 0.1)
    torch.testing.assert_close(levels[[0, 4, 5]], torch.tensor([2, 0.1, 0]).double())
    assert (levels.diff() < 0).all()


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("steps, low, expected", [(1, 0.5, [2, 0]), (3, 2.0, [2, 2, 2, 0])])
def test_a_grid_may_have_one_step_or_one_level(grid, steps, low, expected):
    torch.testing.assert_close(grid(steps, 2.0, low), torch.tensor(expected).double())


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name, arguments", [
    ("steps", (0, 1.0, 0.1)), ("steps", (-1, 1.0, 0.1)), ("steps", (2.5, 1.0, 0.1)),
    ("sigma_max", (3, -1.0, 0.1)), ("sigma_max", (3, 0.1, 1.0)),
    ("sigma_max", (3, float("inf"), 1.0)), ("sigma_min", (3, 1.0, 0.0)),
    ("sigma_min", (3, 1.0, float("nan")))])
def test_what_makes_no_grid_is_named(grid, name, arguments):
    with pytest.raises(ValueError, match=f"{name}=.*: give "):
        grid(*arguments)


@pytest.mark.parametrize("rho", [0, -7, float("nan")])
def test_rho_is_positive(rho):
    with pytest.raises(ValueError, match="^rho=.*above 0"):
        karras_grid(3, 1.0, 0.1, rho)
