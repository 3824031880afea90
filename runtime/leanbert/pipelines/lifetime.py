"""What a pipeline does between its calls: it is made ready, copied to another process, closed."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from leanbert.arguments import check_count
from leanbert.bundle import Bundle
from leanbert.closing import give_back
from leanbert.log import log_info

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leanbert.batching import Runner

__all__ = ["Lifetime"]

Self = TypeVar("Self", bound="Lifetime")

_WORDS = "warm up "


class Lifetime:
    """The part of :class:`~leanbert.pipelines.base.Pipeline` that owns the model's life."""

    bundle: Bundle
    runner: Runner
    mode: str
    threads: int | None
    engine: str
    output_name: str | int | None
    max_memory_mb: int | None
    defaults: Mapping[str, Any]
    closed = False
    """Whether :meth:`close` was called."""

    def warm_up(self, tokens: int = 16) -> None:
        """Compute one text, so that the first call finds threads, memory and code ready.

        Args:
            tokens: its length, special tokens included; a longer one than the model takes is cut.

        Raises:
            InputError: ``tokens`` is no whole number from 1.
            EngineError: the engine failed, or the pipeline is closed.
        """
        check_count("tokens", tokens)
        tokenizer = self.runner.tokenizer
        length = max(tokens, tokenizer.added_tokens(pair=False) + 1)
        self.runner.engine.run(
            tokenizer.encode([_WORDS * tokens], truncation=True, max_length=length)
        )

    def close(self) -> None:
        """Free the model and the tokenizer; a pipeline in a ``with`` block closes at its end.

        Calls that other threads have begun end with an EngineError at their next batch; the model
        is freed when the last batch that is computed at this moment has ended. Every later call is
        refused with an EngineError. May be called again.
        """
        if not self.closed:
            self.closed = True
            self.runner.close()
            give_back()
            log_info("%s: closed", self.bundle.path)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a recipe: another process opens the bundle itself, no weights travel."""
        bundle = self.bundle
        path = bundle.path.absolute()
        graph = None if bundle.manifest else bundle.model_path.relative_to(bundle.path).as_posix()
        return _reopen, (type(self), path, graph, self._opening(), self.defaults)

    def _opening(self) -> dict[str, Any]:
        """The arguments of the opening that are no defaults of calls."""
        return {
            "mode": self.mode,
            "threads": self.threads,
            "engine": self.engine,
            "output_name": self.output_name,
            "max_memory_mb": self.max_memory_mb,
        }


def _reopen(
    kind: Any, path: Any, graph: str | None, opening: dict[str, Any], defaults: dict[str, Any]
) -> Any:
    return kind(Bundle.open(path, file_name=graph), **opening, **defaults)
