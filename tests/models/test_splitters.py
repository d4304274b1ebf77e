import pytest
import torch

from gricol_zoo import GricolZooError
from gricol_zoo.models.splitters.overlap import OverlapSplitter, axis_starts
from gricol_zoo.models.splitters.rows import RowsSplitter
from gricol_zoo.models.splitters.spiral import spiral_order
from gricol_zoo.models.splitters.tiles import TilesSplitter

SIZE, CELL = (448, 456), (224, 224)


def walk(grid):
    """Return the spiral order found by walking: turn right at a wall or a visited cell."""
    seen, order = set(), []
    row, column, step = 0, 0, (0, 1)
    while len(order) < grid * grid:
        order.append((row, column))
        seen.add((row, column))
        ahead = (row + step[0], column + step[1])
        if ahead in seen or not (0 <= ahead[0] < grid and 0 <= ahead[1] < grid):
            step = (step[1], -step[0])
            ahead = (row + step[0], column + step[1])
        row, column = ahead
    return order


@pytest.mark.parametrize("grid", range(1, 8))
def test_spiral_is_a_walk_inward(grid):
    assert spiral_order(grid) == walk(grid)


@pytest.mark.parametrize(
    ("length", "grid", "starts"),
    [
        (448, 3, (0, 112, 224)),
        (456, 3, (0, 120, 232)),  # printed in the paper
        (448, 2, (0, 224)),
        (456, 2, (0, 232)),
        (448, 4, (0, 75, 149, 224)),
        (456, 4, (0, 77, 155, 232)),
    ],
)
def test_starts_at_the_papers_size(length, grid, starts):
    assert axis_starts(length, 224, grid) == starts


@pytest.mark.parametrize("grid", [2, 3, 4])
def test_overlap_against_naive_loops(grid):
    images = torch.randn(2, 1, *SIZE, dtype=torch.float64)
    cells = OverlapSplitter(grid, SIZE, CELL)(images)
    rows = {2: (0, 224), 3: (0, 112, 224), 4: (0, 75, 149, 224)}[grid]
    columns = {2: (0, 232), 3: (0, 120, 232), 4: (0, 77, 155, 232)}[grid]
    assert cells.shape == (2, grid * grid, 1, *CELL)
    for k, (row, column) in enumerate(walk(grid)):
        for y in (0, 1, 100, 223):
            for x in (0, 7, 223):
                assert torch.equal(cells[:, k, :, y, x], images[:, :, rows[row] + y, columns[column] + x])


def test_the_centre_cell_is_the_last():
    images = torch.randn(1, 1, *SIZE)
    assert torch.equal(OverlapSplitter(3, SIZE, CELL)(images)[:, 8], images[..., 112:336, 120:344])


def test_overlap_covers_every_pixel_for_grids_of_three_and_more():
    for grid in (3, 4, 5):
        count = torch.zeros(1, 1, *SIZE)
        for top, left in OverlapSplitter(grid, SIZE, CELL).corners:
            count[..., top : top + 224, left : left + 224] += 1
        assert count.min() >= 1


@pytest.mark.parametrize("grid", [2, 3, 4])
def test_tiles_part_the_image(grid):
    splitter = TilesSplitter(grid, SIZE, CELL)
    count = torch.zeros(*SIZE)
    for top, left, height, width in splitter.boxes():
        count[top : top + height, left : left + width] += 1
    assert torch.equal(count, torch.ones(*SIZE))
    assert splitter(torch.randn(1, 3, *SIZE)).shape == (1, grid * grid, 3, *CELL)


def test_tiles_resize_bilinearly():
    ramp = torch.arange(456, dtype=torch.float64).expand(1, 1, 448, 456)
    tile = TilesSplitter(3, SIZE, CELL)(ramp)[0, 1, 0, 100]  # columns 152..303
    expected = 152 + (torch.arange(224, dtype=torch.float64) + 0.5) * 152 / 224 - 0.5
    assert torch.allclose(tile[1:-1], expected[1:-1])


def test_boxes_are_what_the_cells_show():
    images = torch.randn(1, 1, *SIZE)
    splitter = OverlapSplitter(3, SIZE, CELL)
    for k, (top, left, height, width) in enumerate(splitter.boxes()):
        assert torch.equal(splitter(images)[:, k], images[..., top : top + height, left : left + width])
    flat = torch.zeros(1, 1, *SIZE)
    splitter = TilesSplitter(3, SIZE, CELL)
    for k, (top, left, height, width) in enumerate(splitter.boxes()):
        flat[..., top : top + height, left : left + width] = k
    assert torch.equal(splitter(flat)[0, :, 0].amax((1, 2)), torch.arange(9.0))
    assert torch.equal(splitter(flat)[0, :, 0].amin((1, 2)), torch.arange(9.0))


@pytest.mark.parametrize(("grid", "tops"), [(1, [48]), (2, [0, 96]), (3, [0, 48, 96]), (4, [0, 32, 64, 96])])
def test_rows_are_as_wide_as_the_image(grid, tops):
    images = torch.randn(2, 1, 192, 96)
    splitter = RowsSplitter(grid, (192, 96), (96, 64))
    cells = splitter(images)
    assert cells.shape == (2, grid, 1, 96, 96)
    for k, top in enumerate(tops):
        assert torch.equal(cells[:, k], images[:, :, top : top + 96])
    assert splitter.boxes() == [(top, 0, 96, 96) for top in tops]


@pytest.mark.parametrize("make", [OverlapSplitter, TilesSplitter])
def test_cells_in_another_order_are_the_same_cells(make):
    spiral, raster = make(3, SIZE, CELL), make(3, SIZE, CELL, order="raster")
    assert raster.boxes() == sorted(spiral.boxes())
    images = torch.randn(1, 1, *SIZE)
    assert torch.equal(raster(images)[:, 4], spiral(images)[:, 8])  # the centre
    with pytest.raises(GricolZooError, match="`order` to be one of spiral, raster, but got 'snake'"):
        make(3, SIZE, CELL, order="snake")


def test_cells_start_where_they_are_told():
    splitter = OverlapSplitter(2, SIZE, CELL, row_starts=[10, 200], column_starts=[0, 100])
    assert splitter.boxes() == [(y, x, 224, 224) for y, x in ((10, 0), (10, 100), (200, 100), (200, 0))]
    assert OverlapSplitter(2, SIZE, CELL, row_starts=[10, 200]).corners[1] == (10, 232)
    for starts in ([0], [0, 225], [-1, 3], [0, 1.5], [True, 1]):
        with pytest.raises(GricolZooError, match=r"`row_starts` to be 2 integers in 0\.\.224"):
            OverlapSplitter(2, SIZE, CELL, row_starts=starts)


def test_a_grid_of_two_leaves_columns_uncovered():
    count = torch.zeros(*SIZE)
    for top, left, height, width in OverlapSplitter(2, SIZE, CELL).boxes():
        count[top : top + height, left : left + width] += 1
    assert (count == 0).all(0).nonzero()[:, 0].tolist() == list(range(224, 232))
    assert (count[:, :224] == 1).all()


def test_a_row_higher_than_the_image_is_refused():
    with pytest.raises(GricolZooError, match="no higher than the image"):
        RowsSplitter(3, (100, 100), (224, 100))
    RowsSplitter(3, (100, 100), (50, 224))  # the width does not matter


def test_a_cell_larger_than_the_image_is_refused():
    with pytest.raises(GricolZooError, match="no larger than the image"):
        OverlapSplitter(3, (100, 100), (224, 224))
    with pytest.raises(GricolZooError, match="at most the image's 8 pixels"):
        TilesSplitter(9, (8, 100), (4, 4))
