"""The ledger: which operation ran in which dtype, counted while it is open."""

from __future__ import annotations

from collections import Counter, defaultdict

from mezzo.core.record import Record, update_bound
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor


class ledger:
    """Counts operations by the dtype they ran in: `with ledger() as book: ...; book.counts()`.

    An interpreter beneath the others, so it sees what runs after autocast has decided.
    """

    rank = -1

    def __init__(self):
        self._counts: dict[str, Counter] = defaultdict(Counter)

    def __enter__(self):
        STATE.push(self)
        return self

    def __exit__(self, *exception):
        STATE.stack.remove(self)

    def counts(self) -> dict[str, dict[str, int]]:
        """{operation: {dtype: calls}}."""
        return {name: dict(found) for name, found in self._counts.items()}

    # ---- interpreter

    def process(self, record: Record, args: tuple):
        """Count and run."""
        if record.is_composite:
            STATE.stack.append(self)
            try:
                return record.run(args)
            finally:
                STATE.stack.pop()
        result = record.apply(args)
        self._note(record, args)
        return result

    def process_update(self, record: Record, target: Tensor, args: tuple):
        """Count and run in place."""
        self._note(record, args)
        return update_bound(record, args)

    def read(self, tensor: Tensor, operation: str) -> Tensor:
        """Values may be read."""
        return tensor

    def _note(self, record: Record, args: tuple) -> None:
        compute = dict(zip(record.names, args)).get("compute")
        for value in args:
            if isinstance(value, (tuple, list)) and value and isinstance(value[0], Tensor):
                value = value[0]
            if isinstance(value, Tensor):
                self._counts[record.name][(compute or value.dtype).name] += 1
                return
