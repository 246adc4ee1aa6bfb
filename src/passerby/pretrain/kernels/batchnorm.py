"""Triton kernels of `batchnorm_triton`: BatchNorm in groups over a matrix of places by channels.

All kernels see a map `(B, C, H, W)` that lies channels last in memory as a matrix of `B H W` rows
(places) and `C` columns, row-major. The rows of a group follow each other: group `g` of `G` has the
rows `g R` to `(g + 1) R - 1`. A group's rows are cut into `S` slices, so that there are enough
programs for the whole GPU; each program adds up its slice, and a second kernel adds the slices up
in their order. No atomics are used, so equal inputs give equal sums.
"""
# Triton gives arguments their types, when it compiles a kernel.
# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl


@triton.jit
def sum_moments(
    x, sums, rows, channels, slices, slice_rows, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """Sums of `x - k` and `(x - k)^2` over a slice; `k` is the first row of the group.

    The shift by a value of the group's own keeps the variance exact where the mean is far from 0.
    `sums`: float32 `(2, G, S, C)`. Grid: `(S, G, ceil(C / COLUMNS))`.
    """
    part, group = tl.program_id(0), tl.program_id(1)
    column = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    there = column < channels
    base = x + group.to(tl.int64) * rows * channels
    shift = tl.load(base + column, there, 0.0).to(tl.float32)
    first = tl.zeros([ROWS, COLUMNS], tl.float32)
    second = tl.zeros([ROWS, COLUMNS], tl.float32)
    begin = part * slice_rows
    end = tl.minimum(begin + slice_rows, rows)
    for at in range(begin, end, ROWS):
        row = at + tl.arange(0, ROWS)
        inside = (row < end)[:, None] & there[None, :]
        place = row.to(tl.int64)[:, None] * channels + column[None, :]
        value = tl.load(base + place, inside, 0.0).to(tl.float32) - shift[None, :]
        value = tl.where(inside, value, 0.0)
        first += value
        second += value * value
    out = (group * slices + part) * channels + column
    tl.store(sums + out, tl.sum(first, 0), there)
    half = tl.num_programs(1) * slices * channels
    tl.store(sums + half + out, tl.sum(second, 0), there)


@triton.jit
def finish_moments(
    x,
    sums,
    mean,
    inverse_std,
    running_mean,
    running_var,
    rows,
    channels,
    groups,
    eps,
    momentum,
    SLICES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Mean and 1 / std of each group, `(G, C)`; updates the running statistics.

    The mean over the groups is what the running statistics are updated with.

    Grid: `(ceil(C / COLUMNS),)`.
    """
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    there = column < channels
    part = tl.arange(0, SLICES)[:, None] * channels + column[None, :]
    half = groups * SLICES * channels
    total_mean = tl.zeros([COLUMNS], tl.float32)
    total_var = tl.zeros([COLUMNS], tl.float32)
    for group in range(groups):
        at = group * SLICES * channels + part
        first = tl.sum(tl.load(sums + at, there[None, :], 0.0), 0)
        second = tl.sum(tl.load(sums + half + at, there[None, :], 0.0), 0)
        start = tl.load(x + tl.cast(group, tl.int64) * rows * channels + column, there, 0.0)
        offset = first / rows
        group_mean = start.to(tl.float32) + offset
        group_var = tl.maximum(second / rows - offset * offset, 0.0)
        tl.store(mean + group * channels + column, group_mean, there)
        tl.store(inverse_std + group * channels + column, 1.0 / tl.sqrt(group_var + eps), there)
        total_mean += group_mean
        total_var += group_var
    unbiased = rows / (rows - 1.0)
    old_mean = tl.load(running_mean + column, there, 0.0)
    old_var = tl.load(running_var + column, there, 0.0)
    new_mean = old_mean + momentum * (total_mean / groups - old_mean)
    new_var = old_var + momentum * (total_var / groups * unbiased - old_var)
    tl.store(running_mean + column, new_mean, there)
    tl.store(running_var + column, new_var, there)


@triton.jit
def normalise(
    x,
    residual,
    mean,
    inverse_std,
    weight,
    bias,
    y,
    rows,
    channels,
    HAS_RESIDUAL: tl.constexpr,
    RELU: tl.constexpr,
    TILES: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """`y = (x - mean) / std * weight + bias`, then `+ residual` and ReLU where asked for.

    Each program works on `TILES` tiles, one below the other.
    Grid: `(ceil(R / ROWS / TILES), G, ceil(C / COLUMNS))`.
    """
    group = tl.program_id(1)
    column = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    there = column < channels
    of_group = group * channels + column
    scale = tl.load(inverse_std + of_group, there, 0.0) * tl.load(weight + column, there, 0.0)
    centre = tl.load(mean + of_group, there, 0.0)
    offset = tl.load(bias + column, there, 0.0)
    start = group.to(tl.int64) * rows
    for tile in range(TILES):
        row = (tl.program_id(0) * TILES + tile) * ROWS + tl.arange(0, ROWS)
        inside = (row < rows)[:, None] & there[None, :]
        place = (start + row)[:, None] * channels + column[None, :]
        value = tl.load(x + place, inside, 0.0).to(tl.float32) - centre[None, :]
        value = value * scale[None, :] + offset[None, :]
        if HAS_RESIDUAL:
            # Rounded as the separate operations of torch round it.
            value = value.to(y.dtype.element_ty).to(tl.float32)
            value += tl.load(residual + place, inside, 0.0).to(tl.float32)
        if RELU:
            value = tl.where(value < 0, 0.0, value)  # keeps NaN, as torch's ReLU does
        tl.store(y + place, value.to(y.dtype.element_ty), inside)


@triton.jit
def _reached(gradient, y, place, inside, RELU: tl.constexpr):
    """The gradient that reaches the normalised values: 0 where ReLU gave 0."""
    value = tl.load(gradient + place, inside, 0.0).to(tl.float32)
    if RELU:
        positive = tl.load(y + place, inside, 0.0).to(tl.float32) > 0
        value = tl.where(positive, value, 0.0)
    return value


@triton.jit
def sum_gradients(
    gradient,
    x,
    y,
    mean,
    inverse_std,
    sums,
    rows,
    channels,
    slices,
    slice_rows,
    RELU: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Sums over a slice of the gradient, and of the gradient times the normalised value.

    `sums`: float32 `(2, G, S, C)`. Grid: `(S, G, ceil(C / COLUMNS))`.
    """
    part, group = tl.program_id(0), tl.program_id(1)
    column = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    there = column < channels
    of_group = group * channels + column
    centre = tl.load(mean + of_group, there, 0.0)
    scale = tl.load(inverse_std + of_group, there, 0.0)
    first = tl.zeros([ROWS, COLUMNS], tl.float32)
    second = tl.zeros([ROWS, COLUMNS], tl.float32)
    begin = part * slice_rows
    end = tl.minimum(begin + slice_rows, rows)
    start = group.to(tl.int64) * rows
    for at in range(begin, end, ROWS):
        row = at + tl.arange(0, ROWS)
        inside = (row < end)[:, None] & there[None, :]
        place = (start + row)[:, None] * channels + column[None, :]
        reached = _reached(gradient, y, place, inside, RELU)
        value = tl.load(x + place, inside, 0.0).to(tl.float32) - centre[None, :]
        first += reached
        second += reached * value
    out = (group * slices + part) * channels + column
    tl.store(sums + out, tl.sum(first, 0), there)
    half = tl.num_programs(1) * slices * channels
    tl.store(sums + half + out, tl.sum(second, 0) * scale, there)


@triton.jit
def finish_gradients(
    sums,
    totals,
    of_weight,
    of_bias,
    channels,
    groups,
    SLICES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Both sums of each group, `totals` float32 `(2, G, C)`; gradients of weight and bias.

    Grid: `(ceil(C / COLUMNS),)`.
    """
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    there = column < channels
    part = tl.arange(0, SLICES)[:, None] * channels + column[None, :]
    half = groups * SLICES * channels
    all_first = tl.zeros([COLUMNS], tl.float32)
    all_second = tl.zeros([COLUMNS], tl.float32)
    for group in range(groups):
        at = group * SLICES * channels + part
        first = tl.sum(tl.load(sums + at, there[None, :], 0.0), 0)
        second = tl.sum(tl.load(sums + half + at, there[None, :], 0.0), 0)
        tl.store(totals + group * channels + column, first, there)
        tl.store(totals + (groups + group) * channels + column, second, there)
        all_first += first
        all_second += second
    tl.store(of_weight + column, all_second, there)
    tl.store(of_bias + column, all_first, there)


@triton.jit
def propagate(
    gradient,
    x,
    y,
    mean,
    inverse_std,
    weight,
    totals,
    of_x,
    of_residual,
    rows,
    channels,
    HAS_RESIDUAL: tl.constexpr,
    RELU: tl.constexpr,
    TILES: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """`of_x = weight / std * (g - mean(g) - z * mean(g z))`, where `z` is the normalised value.

    Each program works on `TILES` tiles, one below the other.
    Grid: `(ceil(R / ROWS / TILES), G, ceil(C / COLUMNS))`.
    """
    group = tl.program_id(1)
    column = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    there = column < channels
    of_group = group * channels + column
    scale = tl.load(inverse_std + of_group, there, 0.0)
    centre = tl.load(mean + of_group, there, 0.0)
    slope = scale * tl.load(weight + column, there, 0.0)
    second = tl.num_programs(1) * channels
    mean_first = tl.load(totals + of_group, there, 0.0) / rows
    mean_second = tl.load(totals + second + of_group, there, 0.0) / rows * scale
    start = group.to(tl.int64) * rows
    for tile in range(TILES):
        row = (tl.program_id(0) * TILES + tile) * ROWS + tl.arange(0, ROWS)
        inside = (row < rows)[:, None] & there[None, :]
        place = (start + row)[:, None] * channels + column[None, :]
        reached = _reached(gradient, y, place, inside, RELU)
        if HAS_RESIDUAL:
            tl.store(of_residual + place, reached.to(of_residual.dtype.element_ty), inside)
        value = tl.load(x + place, inside, 0.0).to(tl.float32) - centre[None, :]
        value = (reached - mean_first[None, :] - value * mean_second[None, :]) * slope[None, :]
        tl.store(of_x + place, value.to(of_x.dtype.element_ty), inside)
