"""All families of sounds, in a fixed order."""

from pretrain import sounds_animals, sounds_impacts, sounds_machines, sounds_tones, sounds_voices, sounds_weather
from pretrain.family import Family

FAMILIES: tuple[Family, ...] = (
    *sounds_animals.FAMILIES,
    *sounds_voices.FAMILIES,
    *sounds_weather.FAMILIES,
    *sounds_impacts.FAMILIES,
    *sounds_machines.FAMILIES,
    *sounds_tones.FAMILIES,
)
