"""The order of the cells (paper, section 1.1: clockwise from the top left, the centre last), and raster order to compare."""

from collections.abc import Callable

from gricol_zoo.errors import GricolZooError


def spiral_order(grid: int) -> list[tuple[int, int]]:
    """Return the (row, column) of each of the grid x grid cells, clockwise from the top left inward.

    >>> spiral_order(3)
    [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (1, 1)]
    """
    order: list[tuple[int, int]] = []
    for ring in range((grid + 1) // 2):
        low, high = ring, grid - 1 - ring
        if low == high:
            order.append((low, low))
            continue
        order += [(low, column) for column in range(low, high)]
        order += [(row, high) for row in range(low, high)]
        order += [(high, column) for column in range(high, low, -1)]
        order += [(row, low) for row in range(high, low, -1)]
    return order


def raster_order(grid: int) -> list[tuple[int, int]]:
    """Return the same cells row by row.

    >>> raster_order(2)
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    """
    return [divmod(index, grid) for index in range(grid * grid)]


ORDERS: dict[str, Callable[[int], list[tuple[int, int]]]] = {"spiral": spiral_order, "raster": raster_order}


def cells_in_order(grid: int, order: str) -> list[tuple[int, int]]:
    """Return the (row, column) of each cell in one of ``ORDERS``.

    Raises:
        GricolZooError: an unknown order.
    """
    if order not in ORDERS:
        raise GricolZooError(f"Expected `order` to be one of {', '.join(ORDERS)}, but got {order!r}.")
    return ORDERS[order](grid)
