"""Two languages, Chinese and English: spelling, words and sentences. Below all rooms."""

from zhiyin.lang.normalise import normalise
from zhiyin.lang.script import detect
from zhiyin.lang.sentences import split_sentences
from zhiyin.lang.stopwords import stop_words
from zhiyin.lang.tokens import Tokeniser, tokenise

__all__ = ["Tokeniser", "detect", "normalise", "split_sentences", "stop_words", "tokenise"]
