"""A part of the bank as the background of tests with small models, which hear it anew under every audio prompt."""

from functools import partial

import aspl
from aspl.background import BANK, Background, BackgroundLibrary

FEW_SOUNDS = BackgroundLibrary(Background(BANK, Background.load(BANK).clips[:12]))
fit = partial(aspl.fit, library=FEW_SOUNDS)
