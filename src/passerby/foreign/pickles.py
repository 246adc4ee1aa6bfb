"""How much a pickle unfolds to, found before it is read.

A pickle is a program for a machine with a stack and a memory. A few hundred bytes of it can name a
value that holds another twice, that another twice, and so on: it is built in no time, and whoever
then counts, prints, copies or hashes it never ends. Reading can hang as well, since the keys of
dictionaries are hashed while it goes on. Here the program is run over sizes alone: each value is
known by how many it stands for and how deep they lie, and each use of it is charged with that.

Nothing that honest picklers write is lost: they fill a container where they make it, and name it
again when it is full. A container that is filled after it was named again, or that holds itself, is
refused.
"""

import pickle
import pickletools
from typing import Any

MOST_DEPTH = 100
MOST_RATIO = 64
"""What is charged, over the bytes of the pickle: honest ones come to less than 10."""
EASY_CHARGE = 100_000
MOST_NUMBER_BYTES = 16
"""Of a whole number."""
Data = Any
"""Bytes, or what gives bytes by slice and whole numbers by place, such as a mapped file."""

# How an operation's argument is laid out: so many bytes, lines, or bytes behind their count.
_LINE, _TWO_LINES, _COUNT_1, _COUNT_4, _COUNT_8 = -1, -2, -3, -4, -5
_LAID_OUT = {
    pickletools.TAKEN_FROM_ARGUMENT1: _COUNT_1,
    pickletools.TAKEN_FROM_ARGUMENT4: _COUNT_4,
    pickletools.TAKEN_FROM_ARGUMENT4U: _COUNT_4,
    pickletools.TAKEN_FROM_ARGUMENT8U: _COUNT_8,
    pickletools.UP_TO_NEWLINE: _LINE,
}
_COUNT_BYTES = {_COUNT_1: 1, _COUNT_4: 4, _COUNT_8: 8}


def _layout(op: pickletools.OpcodeInfo) -> int:
    if op.arg is None:
        return 0
    if op.arg is pickletools.stringnl_noescape_pair:
        return _TWO_LINES
    return op.arg.n if op.arg.n >= 0 else _LAID_OUT[op.arg.n]


_NAMES: list[str | None] = [None] * 256
_LAYOUTS = [0] * 256
for _op in pickletools.opcodes:
    _NAMES[ord(_op.code)], _LAYOUTS[ord(_op.code)] = _op.name, _layout(_op)

# What stands for a value: how much it is, how deep, and whether it is full.
_Value = list[int]
_SIZE, _DEPTH, _FULL = 0, 1, 2
_PLAIN: _Value = [1, 0, 1]
_POPS = {
    "STACK_GLOBAL": 2, "BINPERSID": 1, "REDUCE": 2, "NEWOBJ": 2, "NEWOBJ_EX": 3,
    "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3,
}  # fmt: skip
"""Values that are taken off the stack for a new one."""
_FROM_MARK = {"TUPLE", "LIST", "DICT", "FROZENSET", "OBJ", "INST"}
_OPEN = {"LIST", "DICT", "OBJ", "INST", "REDUCE", "NEWOBJ", "NEWOBJ_EX"}
"""What may be filled further."""
_FILLS = {"APPEND": 1, "SETITEM": 2, "BUILD": 1}
_FILLS_FROM_MARK = {"APPENDS", "SETITEMS", "ADDITEMS"}
_EMPTY = {"EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"}
_SIMPLE = frozenset(
    ord(op.code)
    for op in pickletools.opcodes
    if op.name
    in ("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "BINFLOAT", "EMPTY_TUPLE")
)
_BINPUT = ord("q")
_TO_MEMORY = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_FROM_MEMORY = {"GET", "BINGET", "LONG_BINGET"}


class _Machine:
    """The stack and the memory of a pickle, of sizes."""

    def __init__(self, most: int, most_memory: int) -> None:
        self.stack: list[_Value] = []
        self.marks: list[int] = []
        self.memory: dict[int, _Value] = {}
        self.left, self.most_memory = most, most_memory

    def taken(self, count: int) -> _Value:
        """Take the last `count` values; what they come to together."""
        if count > len(self.stack) - (self.marks[-1] if self.marks else 0):
            raise pickle.UnpicklingError("it takes more than it has")
        size, depth = 1, 0
        for value in self.stack[len(self.stack) - count :]:
            value[_FULL] = 1
            size += value[_SIZE]
            depth = max(depth, value[_DEPTH])
        del self.stack[len(self.stack) - count :]
        self.left -= size
        if self.left < 0 or depth >= MOST_DEPTH:
            raise pickle.UnpicklingError(
                "it stands for far more than its bytes hold"
                if self.left < 0
                else f"values within values, more than {MOST_DEPTH} deep"
            )
        return [size, depth + 1, 1]

    def since_mark(self) -> int:
        """How many values lie above the last mark, which goes."""
        if not self.marks:
            raise pickle.UnpicklingError("no mark")
        return len(self.stack) - self.marks.pop()

    def fill(self, count: int) -> None:
        """Put the last `count` values into the container below them."""
        added = self.taken(count)
        if not self.stack or self.stack[-1][_FULL]:
            raise pickle.UnpicklingError("a container that is filled late, or holds itself")
        container = self.stack[-1]
        container[_SIZE] += added[_SIZE]
        container[_DEPTH] = max(container[_DEPTH], added[_DEPTH])

    def keep(self, place: int) -> None:
        """Put the last value into the memory."""
        if not self.stack or not 0 <= place <= self.most_memory:
            raise pickle.UnpicklingError(f"a place {place} in its memory")
        self.memory[place] = self.stack[-1]

    def again(self, value: _Value | None) -> None:
        """Name a value again; it may not be filled from then on."""
        if value is None:
            raise pickle.UnpicklingError("a value that it does not have")
        value[_FULL] = 1
        self.stack.append(value)


def require_small(data: Data, start: int = 0) -> int:
    """Refuse a pickle that unfolds to far more than it is.

    Args:
        data: The bytes that it lies in.
        start: Where it begins.

    Returns:
        Where it ends.

    Raises:
        UnpicklingError: it does, it is nested too deep, holds a number that is too long, or is no
            pickle.
    """
    length = len(data) - start
    machine = _Machine(MOST_RATIO * length + EASY_CHARGE, length)
    at = start
    stack, memory = machine.stack, machine.memory
    try:
        while True:
            code = data[at]
            if code in _SIMPLE:  # half of all operations; the rest of this function does the same
                stack.append(_PLAIN)
                at += 1 + _LAYOUTS[code]
                continue
            if code == _BINPUT:
                memory[data[at + 1]] = stack[-1]
                at += 2
                continue
            name = _NAMES[code]
            if name is None:
                raise pickle.UnpicklingError(f"an operation {code}, which there is not")
            begin, end, at = _argument(data, at + 1, _LAYOUTS[code])
            if end > len(data):
                raise IndexError
            if name == "STOP":
                machine.taken(1)
                return at
            _run(machine, name, data, begin, end)
    except (IndexError, ValueError):
        raise pickle.UnpicklingError("cut short") from None


def _argument(data: Data, at: int, layout: int) -> tuple[int, int, int]:
    """Where an argument begins and ends, and where the next operation is."""
    if layout >= 0:
        return at, at + layout, at + layout
    if layout >= _TWO_LINES:
        end = _end_of_line(data, at)
        if layout == _TWO_LINES:
            end = _end_of_line(data, end + 1)
        return at, end, end + 1
    begin = at + _COUNT_BYTES[layout]
    end = begin + int.from_bytes(data[at:begin], "little")
    return begin, end, end


def _end_of_line(data: Data, at: int) -> int:
    end = data.find(b"\n", at)
    if end < 0:
        raise IndexError
    return int(end)


def _run(machine: _Machine, name: str, data: Data, begin: int, end: int) -> None:
    """Do one operation on sizes."""
    if name in _TO_MEMORY:
        place = len(machine.memory) if name == "MEMOIZE" else _place(name, data, begin, end)
        machine.keep(place)
    elif name in _FROM_MEMORY:
        machine.again(machine.memory.get(_place(name, data, begin, end)))
    elif name in _EMPTY:
        machine.stack.append([1, 1, 0])
    elif name in _POPS or name in _FROM_MARK:
        made = machine.taken(_POPS[name] if name in _POPS else machine.since_mark())
        made[_FULL] = name not in _OPEN
        machine.stack.append(made)
    elif name in _FILLS_FROM_MARK or name in _FILLS:
        machine.fill(_FILLS[name] if name in _FILLS else machine.since_mark())
    elif name == "MARK":
        machine.marks.append(len(machine.stack))
    elif name == "DUP":
        machine.again(machine.stack[-1])
    elif name == "POP":
        if machine.marks and machine.marks[-1] == len(machine.stack):
            machine.marks.pop()
        else:
            machine.taken(1)
    elif name == "POP_MARK":
        machine.taken(machine.since_mark())
    elif name not in ("PROTO", "FRAME", "READONLY_BUFFER"):
        machine.stack.append(_plain(name, end - begin))


def _plain(name: str, length: int) -> _Value:
    """A number, a text, a name."""
    if name in ("LONG1", "LONG4") and length > MOST_NUMBER_BYTES:
        raise pickle.UnpicklingError(f"a whole number of {length:,} bytes")
    if name in ("INT", "LONG") and length > 2 * MOST_NUMBER_BYTES:
        raise pickle.UnpicklingError(f"a whole number of {length:,} digits")
    return _PLAIN if length <= MOST_NUMBER_BYTES else [length, 0, 1]


def _place(name: str, data: Data, begin: int, end: int) -> int:
    """Which place of the memory is meant."""
    if name in ("PUT", "GET"):
        return int(data[begin:end])
    return int.from_bytes(data[begin:end], "little")
