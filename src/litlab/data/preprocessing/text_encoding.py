"""Texts as bags of hashed words and pairs of words: no vocabulary, so that new texts need nothing but the settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from litlab.errors import RequestError


@dataclass(frozen=True)
class TextEncoding:
    """Words and runs of words by their hash, with scikit-learn's HashingVectorizer, in lower case.

    Attributes:
        length: tokens of a text, at most; shorter ones are padded with 0, of longer ones some are dropped.
        num_tokens: numbers that a token may have, with 0.
        ngrams: words in a token, from and to.
    """

    length: int
    num_tokens: int
    ngrams: tuple[int, int]

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Tokens (N, length), int64, in the order of their numbers, not of the text.

        Raises:
            RequestError: they are no texts.
        """
        starts, tokens = _tokens(texts, self.num_tokens, self.ngrams)
        counts = np.minimum(np.diff(starts), self.length)
        encoded = np.zeros((len(texts), self.length), np.int64)
        for row, start, count in zip(encoded, starts.tolist(), counts.tolist(), strict=False):
            row[:count] = tokens[start : start + count]
        return torch.from_numpy(encoded)

    @classmethod
    def fit(cls, texts: Sequence[str], num_tokens: int, ngrams: tuple[int, int], most: int) -> "TextEncoding":
        """Wide enough for the longest of these texts, or for `most` tokens."""
        starts, _ = _tokens(texts, num_tokens, ngrams)
        return cls(int(min(max(np.diff(starts).max(initial=1), 1), most)), num_tokens, ngrams)


def _tokens(texts: Sequence[str], num_tokens: int, ngrams: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Where each text's tokens start, and the tokens of all, from 1."""
    from sklearn.feature_extraction.text import HashingVectorizer  # late: it takes a third of a second

    if isinstance(texts, str) or not all(isinstance(each, str) for each in texts):
        raise RequestError("the inputs must be a list of texts, such as ['a fine film', 'a dull one']")
    settings: dict[str, Any] = {"norm": None, "alternate_sign": False, "dtype": np.float32}
    hasher = HashingVectorizer(n_features=num_tokens - 1, ngram_range=tuple(ngrams), **settings)
    counts = hasher.transform(texts)
    counts.sort_indices()
    times = counts.data.astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(times)])[counts.indptr]
    return starts, np.repeat(counts.indices.astype(np.int64) + 1, times)
