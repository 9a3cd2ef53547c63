"""Futures contract roots: money per point of price, by currency, and the roots' names at CQG.

The multiplier is the contract's size times the unit in which its price is quoted, as the exchanges' contract
specifications give them: CME Group (CME, CBOT, NYMEX, COMEX) at cmegroup.com, "Contract Specs"; Cboe Futures Exchange;
ICE Futures U.S. and Europe; Eurex. Grains, livestock, sugar, coffee, cotton and orange juice are quoted in cents: a
point of corn (ZC) is one cent on 5,000 bushels, 50 USD. Notes and bonds count per point of 100, yields per 1 %.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

_SPECIFICATIONS: Final = (
    ("USD", "CME, CBOT: indices", "ES 50, NQ 20, YM 5, RTY 50, EMD 100, NKD 5, MES 5, MNQ 2, MYM 0.5, M2K 5"),
    ("USD", "Cboe: volatility", "VX 1000, VXM 100"),
    ("USD", "NYMEX: energy", "CL 1000, QM 500, MCL 100, BZ 1000, RB 42000, HO 42000, NG 10000, QG 2500, MNG 1000"),
    ("USD", "ICE Futures Europe: Brent", "B 1000"),
    ("USD", "COMEX: metals", "GC 100, QO 50, MGC 10, SI 5000, QI 2500, SIL 1000, HG 25000, QC 12500, MHG 2500"),
    ("USD", "NYMEX: metals", "PL 50, PA 100"),
    ("USD", "CBOT: notes and bonds", "ZB 1000, UB 1000, ZN 1000, TN 1000, ZF 1000, ZT 2000, MTN 100, MWN 100"),
    ("USD", "CBOT: yields; CME: SOFR", "2YY 1000, 5YY 1000, 10Y 1000, 30Y 1000, SR3 2500"),
    ("USD", "CME: currencies", "6A 100000, 6B 62500, 6C 100000, 6E 125000, 6J 12500000, 6M 500000, 6N 100000"),
    ("USD", "CME: currencies", "6S 125000, E7 62500, J7 6250000, M6A 10000, M6B 6250, M6E 12500"),
    ("USD", "CME: currencies", "MCD 10000, MJY 1250000, MSF 12500"),
    ("USD", "CBOT: grains", "ZC 50, ZS 50, ZW 50, KE 50, ZL 600, ZM 100, XC 10, XK 10, XW 10"),
    ("USD", "CBOT: micro grains", "MZC 5, MZS 5, MZW 5, MZL 60, MZM 10"),
    ("USD", "CME: livestock", "LE 400, HE 400, GF 500"),
    ("USD", "ICE Futures U.S.: softs, dollar index", "SB 1120, KC 375, CT 500, CC 10, OJ 150, DX 1000"),
    ("USD", "CME: cryptocurrencies", "BTC 5, MBT 0.1, ETH 50, MET 0.1"),
    ("EUR", "Eurex: indices", "FDAX 25, FDXM 5, FDXS 1, FESX 10, FSXE 1, FVS 100"),
    ("EUR", "Eurex: bonds", "FGBL 1000, FGBM 1000, FGBS 1000, FGBX 1000, FBTP 1000, FOAT 1000"),
    ("CHF", "Eurex: indices", "FSMI 10"),
)
_CQG: Final = (
    ("indices", "EP ES, ENQ NQ"),
    ("energy", "CLE CL, MCLE MCL, NQM QM, NGE NG, NQG QG, MNGE MNG, RBE RB, HOE HO"),
    ("metals and cryptocurrencies", "GCE GC, SIE SI, CPE HG, PLE PL, GMET MET"),
    ("notes and bonds", "USA ZB, ULA UB, TYA ZN, TNA TN, FVA ZF, TUA ZT"),
    ("currencies", "DA6 6A, BP6 6B, CA6 6C, EU6 6E, JY6 6J, MX6 6M, NE6 6N, SF6 6S, EEU E7"),
    ("grains and livestock", "ZCE ZC, ZSE ZS, ZWA ZW, ZLE ZL, ZME ZM, GLE LE"),
)


def _pairs(entries: str) -> list[list[str]]:
    return [entry.split() for entry in entries.split(", ")]


ROOTS: Final[Mapping[str, tuple[Decimal, str]]] = {
    root: (Decimal(multiplier), currency)
    for currency, _, entries in _SPECIFICATIONS
    for root, multiplier in _pairs(entries)
}
"""Multiplier and currency of each known root, by its Globex, Cboe, ICE or Eurex code."""

CQG_ROOTS: Final[Mapping[str, str]] = {theirs: ours for _, entries in _CQG for theirs, ours in _pairs(entries)}
"""CQG's own roots (`F.US.EPM26`, and so ProjectX: `CON.F.US.EP.M26`) where they differ from Globex."""
