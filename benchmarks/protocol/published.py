"""Published accuracies in %, of another backbone than ours."""

SOURCE = "PALM's published logs (github.com/asif-hanif/palm), Pengi, 16 shots, mean of folds and three seeds"
PUBLISHED_SHOTS = 16
METHODS = ("zero_shot", "coop", "cocoop", "palm")
_ROWS = {
    "Beijing-Opera": (28.8, 95.3, 97.7, 95.3),
    "CREMA-D": (23.1, 33.6, 30.2, 34.6),
    "ESC50": (49.7, 93.8, 94.3, 95.9),
    "ESC50-Actions": (65.3, 95.3, 96.6, 96.6),
    "GT-Music-Genre": (32.5, 71.8, 75.2, 80.0),
    "NS-Instruments": (32.9, 58.2, 60.6, 63.8),
    "RAVDESS": (12.2, 33.2, 38.8, 46.0),
    "SESA": (72.4, 89.5, 87.0, 89.5),
    "TUT2017": (24.4, 65.3, 73.4, 79.1),
    "UrbanSound8K": (53.5, 75.5, 76.5, 80.8),
    "VocalSound": (42.0, 71.0, 77.9, 80.8),
}
PUBLISHED = {name: dict(zip(METHODS, row, strict=True)) for name, row in _ROWS.items()}
