"""Triton kernels of `batchnorm_triton`: BatchNorm in groups over a matrix of places by channels.

All kernels see a map `(B, C, H, W)` that lies channels last in memory as a matrix of `B H W` rows
(places) and `C` columns, row-major. The rows of a group follow each other: group `g` of `G` has the
rows `g R` to `(g + 1) R - 1`. A group's rows are cut into `S` slices, so that there are enough
programs for the whole GPU; each program adds up its slice, and a second kernel adds the slices up
in their order. No atomics are used, so equal inputs give equal sums.
"""
# Triton gives arguments and variables their types, when it compiles a kernel.
# mypy: disable-error-code="no-untyped-def,assignment,var-annotated"

import triton
import triton.language as tl


@triton.jit
def _loaded(pointers, inside, otherwise, EVEN: tl.constexpr):
    """Load the values that are inside the matrix; `EVEN` says that all are."""
    return tl.load(pointers) if EVEN else tl.load(pointers, inside, otherwise)


@triton.jit
def _first_row(step, steps, CHUNK: tl.constexpr):
    """The row of the group at which a program's chunk of `CHUNK` rows begins.

    Program `s` of the `S` of a group works on the chunks `s`, `s + S`, `s + 2 S` and so on, so all
    programs read neighbouring memory at any time. The last chunk comes first: of a large map, the
    end was written last and is still in the GPU's cache. The next kernel then begins with the rows
    that were read last here.
    """
    return ((steps - 1 - step) * tl.num_programs(0) + tl.program_id(0)) * CHUNK


@triton.jit
def _store_sums(sums, first, second, channels, column):
    """Add up the rows of both tiles, and store them as those of this program's slice."""
    slices = tl.num_programs(0)
    out = (tl.program_id(1) * slices + tl.program_id(0)) * channels + column
    there = column < channels
    tl.store(sums + out, tl.sum(first, 0), there)
    half = tl.num_programs(1) * slices * channels
    tl.store(sums + half + out, tl.sum(second, 0), there)


@triton.jit(do_not_specialize=["steps"])
def sum_moments(
    x,
    sums,
    rows,
    channels,
    steps,
    EVEN: tl.constexpr,
    TILES: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Sums of `x - k` and `(x - k)^2` over a slice; `k` is the first row of the group.

    The shift by a value of the group's own keeps the variance exact where the mean is far from 0.
    In each of its `steps`, a program loads `TILES` tiles before it computes with the first, to have
    enough memory accesses under way. `EVEN` says that the tiles of all programs cover the group
    exactly; then no masks are needed.

    `sums`: float32 `(2, G, S, C)`. Grid: `(S, G, ceil(C / COLUMNS))`.
    """
    line = tl.arange(0, ROWS)[:, None]
    column = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    there = (column < channels)[None, :]
    place = line * channels + column[None, :]
    base = x + tl.program_id(1).to(tl.int64) * rows * channels
    # The same row for all lines of a tile: each thread then has the values that it needs.
    shift = _loaded(base + (line * 0 + column[None, :]), (line >= 0) & there, 0.0, EVEN)
    first = tl.zeros([ROWS, COLUMNS], tl.float32)
    second = tl.zeros([ROWS, COLUMNS], tl.float32)
    for step in range(steps):
        row = _first_row(step, steps, TILES * ROWS)
        values = ()
        for tile in tl.static_range(TILES):
            start = row + tile * ROWS
            inside = (start + line < rows) & there
            at = base + start.to(tl.int64) * channels + place
            values += (_loaded(at, inside, shift, EVEN),)
        for tile in tl.static_range(TILES):
            value = values[tile].to(tl.float32) - shift.to(tl.float32)
            first += value
            second += value * value
    _store_sums(sums, first, second, channels, column)


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
    GROUPS: tl.constexpr,
    SLICES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Mean and 1 / std of each group, `(G, C)`; updates the running statistics.

    The mean over the groups is what the running statistics are updated with.
    `GROUPS`: the number of groups, or the next power of 2.

    Grid: `(ceil(C / COLUMNS),)`.
    """
    group = tl.arange(0, GROUPS)[:, None]
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    inside = (group < groups) & (column < channels)[None, :]
    start = tl.load(x + group.to(tl.int64) * rows * channels + column[None, :], inside, 0.0)
    first, second = _added_slices(sums, channels, groups, column, GROUPS, SLICES)
    offset = first / rows
    group_mean = tl.where(inside, start.to(tl.float32) + offset, 0.0)
    group_var = tl.where(inside, tl.maximum(second / rows - offset * offset, 0.0), 0.0)
    of_group = group * channels + column[None, :]
    tl.store(mean + of_group, group_mean, inside)
    tl.store(inverse_std + of_group, 1.0 / tl.sqrt(group_var + eps), inside)
    there = column < channels
    old_mean = tl.load(running_mean + column, there, 0.0)
    old_var = tl.load(running_var + column, there, 0.0)
    unbiased = rows / (rows - 1.0)
    new_mean = old_mean + momentum * (tl.sum(group_mean, 0) / groups - old_mean)
    new_var = old_var + momentum * (tl.sum(group_var, 0) / groups * unbiased - old_var)
    tl.store(running_mean + column, new_mean, there)
    tl.store(running_var + column, new_var, there)


@triton.jit
def _added_slices(sums, channels, groups, column, GROUPS: tl.constexpr, SLICES: tl.constexpr):
    """Both sums of each group over its slices, `(GROUPS, COLUMNS)`; all are loaded at once."""
    group = tl.arange(0, GROUPS)[:, None, None]
    part = tl.arange(0, SLICES)[None, :, None]
    inside = (group < groups) & (part >= 0) & (column < channels)[None, None, :]
    at = (group * SLICES + part) * channels + column[None, None, :]
    first = tl.load(sums + at, inside, 0.0)
    second = tl.load(sums + groups * SLICES * channels + at, inside, 0.0)
    return tl.sum(first, 1), tl.sum(second, 1)


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


@triton.jit(do_not_specialize=["steps"])
def sum_gradients(
    gradient,
    x,
    y,
    mean,
    inverse_std,
    sums,
    rows,
    channels,
    steps,
    RELU: tl.constexpr,
    EVEN: tl.constexpr,
    TILES: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Sums over a slice of the gradient, and of the gradient times the normalised value.

    `steps`, `TILES` and `EVEN` are those of `sum_moments`.

    `sums`: float32 `(2, G, S, C)`. Grid: `(S, G, ceil(C / COLUMNS))`.
    """
    line = tl.arange(0, ROWS)[:, None]
    column = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    there = (column < channels)[None, :]
    place = line * channels + column[None, :]
    # The same values for all lines of a tile: each thread then has those that it needs.
    of_group = tl.program_id(1) * channels + (line * 0 + column[None, :])
    centre = _loaded(mean + of_group, (line >= 0) & there, 0.0, EVEN)
    group_start = tl.program_id(1).to(tl.int64) * rows
    first = tl.zeros([ROWS, COLUMNS], tl.float32)
    second = tl.zeros([ROWS, COLUMNS], tl.float32)
    for step in range(steps):
        row = _first_row(step, steps, TILES * ROWS)
        gradients, values, outputs = (), (), ()
        for tile in tl.static_range(TILES):
            start = row + tile * ROWS
            inside = (start + line < rows) & there
            at = (group_start + start) * channels
            gradients += (_loaded(gradient + at + place, inside, 0.0, EVEN),)
            values += (_loaded(x + at + place, inside, 0.0, EVEN),)
            if RELU:
                outputs += (_loaded(y + at + place, inside, 0.0, EVEN),)
        for tile in tl.static_range(TILES):
            reached = gradients[tile].to(tl.float32)
            if RELU:
                reached = tl.where(outputs[tile].to(tl.float32) > 0, reached, 0.0)
            first += reached
            second += reached * (values[tile].to(tl.float32) - centre)
    scale = _loaded(inverse_std + of_group, (line >= 0) & there, 0.0, EVEN)
    _store_sums(sums, first, second * scale, channels, column)


@triton.jit
def finish_gradients(
    sums,
    totals,
    of_weight,
    of_bias,
    channels,
    groups,
    GROUPS: tl.constexpr,
    SLICES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Both sums of each group, `totals` float32 `(2, G, C)`; gradients of weight and bias.

    `GROUPS`: the number of groups, or the next power of 2.

    Grid: `(ceil(C / COLUMNS),)`.
    """
    group = tl.arange(0, GROUPS)[:, None]
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    there = column < channels
    inside = (group < groups) & there[None, :]
    first, second = _added_slices(sums, channels, groups, column, GROUPS, SLICES)
    of_group = group * channels + column[None, :]
    tl.store(totals + of_group, first, inside)
    tl.store(totals + groups * channels + of_group, second, inside)
    tl.store(of_weight + column, tl.sum(second, 0), there)
    tl.store(of_bias + column, tl.sum(first, 0), there)


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
