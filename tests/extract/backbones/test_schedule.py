from pathlib import Path

import numpy as np
import pytest
import torch

from tedm.errors import TedmError
from tedm.extract.backbones import Schedule

GOLDEN = Path(__file__).parents[2] / "data" / "golden" / "tedm_cosine.npz"


def test_the_cosine_schedule_is_the_published_one() -> None:
    golden = np.load(GOLDEN)
    assert np.abs(Schedule.cosine(1000).alphas_cumprod - golden["alphas_cumprod"]).max() < 1e-6


def test_x_t_is_the_published_one() -> None:
    golden = np.load(GOLDEN)
    x_0, noise = torch.from_numpy(golden["x0"]), torch.from_numpy(golden["noise"])
    for timestep in golden["steps"]:
        expected = golden[f"step{timestep}_x_t"]
        ours = Schedule.cosine(1000).x_t(x_0, noise, torch.tensor([timestep, timestep])).numpy()
        assert np.abs(ours - expected).max() < 1e-4 * np.abs(expected).max()


def test_the_linear_schedule_has_the_betas_of_the_paper() -> None:
    alphas_cumprod = Schedule.linear(1000).alphas_cumprod
    assert alphas_cumprod[0] == 1 - 1e-4
    assert alphas_cumprod[1] / alphas_cumprod[0] == pytest.approx(1 - (1e-4 + (0.02 - 1e-4) / 999), rel=1e-12)
    assert alphas_cumprod[-1] / alphas_cumprod[-2] == pytest.approx(0.98, rel=1e-12)


@pytest.mark.parametrize("name", ["cosine", "linear"])
@pytest.mark.parametrize("timesteps_total", [50, 1000, 4000])
def test_every_schedule_falls_from_image_to_noise(name: str, timesteps_total: int) -> None:
    schedule = Schedule.named(name, timesteps_total)
    assert schedule.timesteps_total == timesteps_total
    assert (np.diff(schedule.alphas_cumprod) < 0).all()
    assert schedule.alphas_cumprod[0] > 0.99
    assert 0 < schedule.alphas_cumprod[-1] < 1e-4


def test_each_entry_has_its_own_timestep() -> None:
    schedule = Schedule.cosine(100)
    x_0, noise = torch.randn(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    timesteps = torch.tensor([99, 0, 50])
    together = schedule.x_t(x_0, noise, timesteps)
    for entry, timestep in enumerate(timesteps.tolist()):
        share = schedule.alphas_cumprod[timestep]
        expected = np.sqrt(share) * x_0[entry].numpy() + np.sqrt(1 - share) * noise[entry].numpy()
        np.testing.assert_allclose(together[entry].numpy(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("timesteps", "said"),
    [([], "no timesteps"), ([1, 1000], "1000 are outside"), ([-1], "from 0 to 999"), ([10, 50, 10], "10 repeated")],
)
def test_timesteps_that_cannot_be_extracted_are_refused(timesteps: list[int], said: str) -> None:
    with pytest.raises(TedmError, match=said):
        Schedule.cosine(1000).require(timesteps)


def test_the_first_and_the_last_timestep_can_be_extracted() -> None:
    Schedule.cosine(1000).require([999, 0])


def test_a_negative_timestep_does_not_count_from_the_end() -> None:
    with pytest.raises(TedmError, match="-1 are outside"):
        Schedule.cosine(10).x_t(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), torch.tensor([-1]))


@pytest.mark.parametrize(("name", "timesteps_total"), [("sigmoid", 1000), ("linear", 20), ("cosine", 1), ("linear", 0)])
def test_schedules_that_cannot_be_made_are_refused(name: str, timesteps_total: int) -> None:
    with pytest.raises(TedmError):
        Schedule.named(name, timesteps_total)


@pytest.mark.parametrize(
    "left",
    [[0.9, 0.95], [1.1, 0.5], [0.5, -0.1], [0.9, np.nan], [[0.9, 0.1]], [], [0.0, 0.0], [0.5], [np.inf, 0.1]],
    ids=range(9),
)
def test_a_schedule_falls_from_one_towards_zero(left: list[float]) -> None:
    with pytest.raises(TedmError, match=r"'mine' is none: shape \(.*betas lie between 0 and 1"):
        Schedule("mine", np.array(left))


def test_a_schedule_may_end_without_any_image() -> None:
    assert Schedule("mine", np.array([0.9, 0.0])).timesteps_total == 2


def test_numbers_of_16_bits_that_are_no_known_schedule_are_refused() -> None:
    left = torch.linspace(0.999, 0.01, 1000).half()
    with pytest.raises(TedmError, match="saved in float16, which is too coarse.*float32"):
        Schedule.recorded("of the file", left, [left])
    known = torch.tensor(Schedule.linear(1000).alphas_cumprod)
    schedule, remark = Schedule.recorded("of the file", known.half(), [known.half()])
    assert (schedule.name, "computed anew" in remark) == ("linear", True)
    np.testing.assert_array_equal(Schedule.recorded("of the file", known, [known])[0].alphas_cumprod, known.numpy())
