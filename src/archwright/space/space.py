"""A search space made of an expression: draws, checks, varies, encodes and builds architectures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from archwright.errors import ArchitectureError, SpaceError, closest
from archwright.problem import Architecture, Signature
from archwright.space import codec, counting, pathcode
from archwright.space.bind import Binder
from archwright.space.bound import Bound
from archwright.space.checks import check_part
from archwright.space.decisions import ChoiceInfo, Pick, conditions, fillings, picks, walk
from archwright.space.expression import Expression

if TYPE_CHECKING:
    from archwright.graph.graph import Graph


class Space:
    """All networks an expression stands for. Implements :class:`archwright.problem.Space`.

    Args:
        expression: What the networks are made of.
        name: For people.
        references: Networks of the space that are known to be good, by name: the choices made in each, as
            :meth:`architecture` takes them, or an architecture. The default strategy begins with them, in this
            order, and every run trains the best of them as a control.

    Attributes:
        references: The architectures of the references, by name.

    Raises:
        SpaceError: If two choices have one address.
        ArchitectureError: If a reference is not of this space.

    >>> from archwright.space import choice, integer, op, repeat
    >>> space = Space(repeat(op("dense", width=choice(8, 16)), integer(1, 3)), "tiny")
    >>> space.size
    14
    """

    def __init__(
        self,
        expression: Expression,
        name: str = "space",
        references: Mapping[str, Architecture | Mapping[str, int | str]] | None = None,
    ) -> None:
        check_part(expression, f"Space {name!r}")
        self.expression = expression
        self.name = name
        self._bound: Bound = Binder().bind(expression, expression.name or "")
        self._plan = self._bound.plan
        self._picks = {pick.address: pick for pick in picks(self._plan)}
        self.references = {title: self._reference(title, made) for title, made in (references or {}).items()}

    def _reference(self, title: str, made: Architecture | Mapping[str, int | str]) -> Architecture:
        try:
            if not isinstance(made, Architecture):
                return self.architecture(made)
            self.validate(made)
        except ArchitectureError as error:
            raise ArchitectureError(f"The reference {title!r} is not of the space. {error}") from error
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.expression, self.name, self.references)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and (self.name, self.expression) == (other.name, other.expression)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.expression))

    def __repr__(self) -> str:
        return f"Space({self.name!r}: {self.size:,} architectures, {len(self._picks)} choices)"

    def __str__(self) -> str:
        return f"# {self.name}: {self.size:,} architectures, {len(self._picks)} choices\n{self.expression}"

    @cached_property
    def size(self) -> int:
        """Exact number of architectures."""
        return self._counter.total

    @cached_property
    def _counter(self) -> counting.Counter:
        return counting.Counter(self._plan)

    def choices(self) -> tuple[ChoiceInfo, ...]:
        """Every choice there can be, in order, with its options and when it is active."""
        return self._choices

    @cached_property
    def _choices(self) -> tuple[ChoiceInfo, ...]:
        active = conditions(self._plan)
        return tuple(
            ChoiceInfo(pick.address, pick.labels, active[pick.address], pick.weights) for pick in self._picks.values()
        )

    def sample(self, rng: np.random.Generator, uniform: bool = False) -> Architecture:
        """Draws an architecture, choice by choice, by the weights of the options.

        Args:
            rng: Source of randomness.
            uniform: Draw uniformly over architectures instead (by exact counting), whatever the weights.
                Choice by choice favours architectures with few choices.
        """
        if uniform:
            return Architecture(tuple(self._counter.draw(rng)))
        random = rng.random
        return Architecture(tuple(walk(self._plan, lambda pick: pick.draw(random()))))

    def fill(self, pick: Callable[[str, int], int]) -> Architecture:
        """The architecture for which ``pick(address, options)`` makes every active choice, asked in order.

        Raises:
            ArchitectureError: Where it picks an option that there is not.
        """

        def decide(asked: Pick) -> int:
            return self._option(asked, pick(asked.address, len(asked.labels)))

        return Architecture(tuple(walk(self._plan, decide)))

    def architectures(self) -> Iterator[Architecture]:
        """Every architecture, each once, in a fixed order."""
        return (Architecture(tuple(filling)) for filling in fillings(self._plan))

    def at(self, index: int) -> Architecture:
        """The architecture with this number, from 0, in the order of :meth:`architectures`, without going through those before.

        Raises:
            SpaceError: Where there is none.

        >>> from archwright.space import choice, op
        >>> Space(op("dense", width=choice(8, 16))).at(1).choices
        (('width', 1),)
        """
        if not 0 <= index < self.size:
            raise SpaceError(f"Space {self.name!r}: got the number {index}; expected 0 to {self.size - 1}.")
        return Architecture(tuple(self._counter.at(index)))

    def architecture(self, choices: Mapping[str, int | str]) -> Architecture:
        """The architecture with these choices, given by option index or label; choices that are not active are ignored.

        Raises:
            ArchitectureError: Where an active choice is missing, or an address or option is unknown.
        """
        for address in choices:
            self._known(address)

        def decide(pick: Pick) -> int:
            if pick.address not in choices:
                raise ArchitectureError(
                    f"Space {self.name!r}: the choice {pick.address!r} is missing; "
                    f"expected one of {', '.join(pick.labels)}."
                )
            option = choices[pick.address]
            return self._option(pick, pick.labels.index(option) if option in pick.labels else option)

        return Architecture(tuple(walk(self._plan, decide)))

    def validate(self, architecture: Architecture) -> None:
        """Checks that an architecture belongs to the space.

        Raises:
            ArchitectureError: Where a choice is missing, unknown, inactive, out of range or out of order.
        """
        made = self.architecture(architecture.as_dict())
        if made != architecture:
            active = dict(made.choices)
            extra = [address for address, _ in architecture.choices if address not in active]
            what = f"lists inactive choices: {', '.join(extra)}" if extra else "lists its choices out of order or twice"
            raise ArchitectureError(
                f"Space {self.name!r}: the architecture {what}. "
                f"Make architectures with space.architecture({{address: option}})."
            )

    def _known(self, address: str) -> Pick:
        pick = self._picks.get(address)
        if pick is None:
            raise ArchitectureError(f"Space {self.name!r} has no choice {address!r}. {closest(address, self._picks)}")
        return pick

    def _option(self, pick: Pick, index: Any) -> int:
        if isinstance(index, bool) or not isinstance(index, int | np.integer) or not 0 <= index < len(pick.labels):
            raise ArchitectureError(
                f"Space {self.name!r}: got option {index!r} for {pick.address!r}; "
                f"expected 0 to {len(pick.labels) - 1} ({', '.join(pick.labels)})."
            )
        return int(index)

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Changes one active choice to another option; what stays active is kept, what becomes active is drawn.

        Raises:
            SpaceError: Where the space has a single architecture.
            ArchitectureError: Where the architecture is not of this space.
        """
        self.validate(architecture)
        if not architecture.choices:
            raise SpaceError(f"Space {self.name!r} has a single architecture; there is nothing to mutate.")
        random = rng.random
        address, old = architecture.choices[int(random() * len(architecture.choices))]
        new = self._picks[address].draw(random(), without=old)
        return self._changed(architecture, address, new, lambda pick: pick.draw(random()))

    def _changed(
        self, architecture: Architecture, address: str, option: int, draw: Callable[[Pick], int]
    ) -> Architecture:
        kept = dict(architecture.choices)
        kept[address] = option

        def decide(pick: Pick) -> int:
            index = kept.get(pick.address)
            return draw(pick) if index is None else index

        return Architecture(tuple(walk(self._plan, decide)))

    def crossover(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Takes each active choice from one of two parents, each with probability 1/2 where both made it.

        Raises:
            ArchitectureError: Where a parent is not of this space.
        """
        self.validate(first)
        self.validate(second)
        one, two, random = dict(first.choices), dict(second.choices), rng.random

        def decide(pick: Pick) -> int:
            mine, other = one.get(pick.address), two.get(pick.address)
            if mine is None or other is None:
                return one[pick.address] if other is None else other
            return mine if mine == other or random() < 0.5 else other

        return Architecture(tuple(walk(self._plan, decide)))

    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        """All architectures with one choice changed, in order; choices that become active take their first option.

        Raises:
            ArchitectureError: Where the architecture is not of this space.
        """
        self.validate(architecture)
        for address, old in architecture.choices:
            for option in range(len(self._picks[address].labels)):
                if option != old:
                    yield self._changed(architecture, address, option, lambda pick: 0)

    @cached_property
    def _offsets(self) -> dict[str, int]:
        ends = np.cumsum([0, *(len(pick.labels) for pick in self._picks.values())])
        return {address: int(start) for address, start in zip(self._picks, ends)} | {"": int(ends[-1])}

    def encode(self, architecture: Architecture) -> np.ndarray:
        """One-hot by choice, zeros where a choice is inactive: a float32 vector with one entry for each option of
        each choice."""
        vector = np.zeros(self._offsets[""], np.float32)
        for address, option in architecture.choices:
            vector[self._offsets[self._known(address).address] + option] = 1.0
        return vector

    def decode(self, vector: np.ndarray) -> Architecture:
        """Inverse of :meth:`encode`; of a vector that is not one-hot, each active choice takes its largest entry.

        Raises:
            ArchitectureError: Where the vector has the wrong length.
        """
        vector = np.asarray(vector)
        if vector.shape != (self._offsets[""],):
            raise ArchitectureError(
                f"Space {self.name!r}: got a vector of shape {vector.shape}; expected ({self._offsets['']},)."
            )
        starts = self._offsets
        return Architecture(
            tuple(
                walk(
                    self._plan,
                    lambda pick: int(np.argmax(vector[starts[pick.address] : starts[pick.address] + len(pick.labels)])),
                )
            )
        )

    def describe(self, architecture: Architecture) -> tuple[tuple[str, str], ...]:
        """The choices for people: ``(address, label of the option)``."""
        return tuple(
            (address, (pick := self._known(address)).labels[self._option(pick, option)])
            for address, option in architecture.choices
        )

    def graph(self, architecture: Architecture, signature: Signature) -> Graph:
        """The network that the choices denote.

        Raises:
            ArchitectureError: Where the architecture is not of this space.
            GraphError: Where shapes are impossible; names the place in the expression.
        """
        from archwright.space.emit import build_graph

        self.validate(architecture)
        return build_graph(self._bound, architecture.as_dict(), signature)

    def paths(self, architecture: Architecture) -> frozenset[tuple[str, ...]]:
        """The operations along each way from input to output of the space's dags (White et al. 2021, BANANAS); see
        :mod:`archwright.space.pathcode`."""
        self.validate(architecture)
        return pathcode.paths(self._bound, architecture.as_dict())

    def encode_paths(self, architecture: Architecture, length: int = 128) -> np.ndarray:
        """Which of the `length` shortest conceivable paths of each dag there are: a float32 vector of zeros and
        ones."""
        found = self.paths(architecture)
        return np.array([path in found for path in self._vocabulary(length)], np.float32)

    def _vocabulary(self, length: int) -> tuple[tuple[str, ...], ...]:
        cache: dict[int, tuple[tuple[str, ...], ...]] = self.__dict__.setdefault("_vocabularies", {})
        if length not in cache:
            cache[length] = pathcode.vocabulary(self._bound, length)
        return cache[length]

    def to_json(self) -> str:
        """The space as JSON."""
        return codec.dumps(self.name, self.expression, self.references)

    @classmethod
    def from_json(cls, text: str) -> Space:
        """Inverse of :meth:`to_json`. Imports the modules of users' own classes: read only what you trust.

        Raises:
            SpaceError: Where the text is no space.
        """
        name, expression, references = codec.loads(text)
        return cls(expression, name, references)
