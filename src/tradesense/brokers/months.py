"""The months' names in the languages that brokers export in."""

from types import MappingProxyType
from typing import Final

_NAMES: Final = (
    "jan january januar jänner janvier janv januari enero ene gennaio gen janeiro styczeń sty leden",
    "feb february februar februari février févr fév fev febrero febbraio fevereiro fevr luty lut únor",
    "mar march mär märz mrz maart mrt mars marzo março marco marz maerz marzec březen",
    "apr april avril avr abril abr aprile aprilis kwiecień kwi duben",
    "may mai mei mayo maggio mag maio maj květen",
    "jun june juni juin junio giugno giu junho czerwiec cze červen",
    "jul july juli juillet juil julio luglio lug julho lipiec lip červenec",
    "aug august augustus août aout agosto ago aoû sierpień sie srpen",
    "sep sept september septembre septiembre settembre set setembro wrzesień wrz září",
    "oct october okt oktober octobre octubre ottobre ott outubro out październik paź říjen",
    "nov november novembre noviembre novembro listopad lis",
    "dec december dez dezember déc décembre decembre diciembre dic dicembre dezembro grudzień gru prosinec",
)
MONTHS: Final = MappingProxyType(
    {name: number for number, names in enumerate(_NAMES, start=1) for name in names.split()}
)
"""From a name or an abbreviation, in lower case and without a final point, to the month's number."""
