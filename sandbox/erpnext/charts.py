"""The charts of accounts that the site has, as lines of `number name [type]`, a step to the right being below.

[chart-offered]: which of them it offers for a country. Names, numbers and types are those of the standard chart as
read; `+` marks a group that has no account yet.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

STANDARD, NUMBERED = "Standard", "Standard with Numbers"
# A country with a chart of its own is offered that one alone, unless `with_standard` is asked for: [charts-method].
OWN: Mapping[str, tuple[str, ...]] = {
    "Germany": ("SKR03 mit Kontonummern", "SKR04 mit Kontonummern"),
    "India": ("India - Chart of Accounts",),
}

_LINES = """
1000 Application of Funds (Assets) =Asset
 1100-1600 Current Assets
  1300 Accounts Receivable
   1310 Debtors [Receivable]
  1200 Bank Accounts + [Bank]
  1100 Cash In Hand [Cash]
   1110 Cash [Cash]
  1600 Loans and Advances (Assets)
   1610 Employee Advances
  1650 Securities and Deposits
   1651 Earnest Money
  1400 Stock Assets [Stock]
   1410 Stock In Hand [Stock]
  1500 Tax Assets +
 1700 Fixed Assets
  1710 Capital Equipment [Fixed Asset]
  1720 Electronic Equipment [Fixed Asset]
  1730 Furniture and Fixtures [Fixed Asset]
  1740 Office Equipment [Fixed Asset]
  1750 Plants and Machineries [Fixed Asset]
  1760 Buildings [Fixed Asset]
  1770 Software [Fixed Asset]
  1780 Accumulated Depreciation [Accumulated Depreciation]
  1790 CWIP Account [Capital Work in Progress]
 1800 Investments +
 1900 Temporary Accounts
  1910 Temporary Opening [Temporary]
5000 Expenses =Expense
 5100 Direct Expenses
  5110 Stock Expenses
   5111 Cost of Goods Sold [Cost of Goods Sold]
   5112 Expenses Included In Asset Valuation [Expenses Included In Asset Valuation]
   5118 Expenses Included In Valuation [Expenses Included In Valuation]
   5119 Stock Adjustment [Stock Adjustment]
 5200 Indirect Expenses
  5201 Administrative Expenses
  5202 Commission on Sales
  5203 Depreciation [Depreciation]
  5204 Entertainment Expenses
  5205 Freight and Forwarding Charges [Chargeable]
  5206 Legal Expenses
  5207 Marketing Expenses [Chargeable]
  5208 Office Maintenance Expenses
  5209 Office Rent
  5210 Postal Expenses
  5211 Print and Stationery
  5212 Round Off [Round Off]
  5213 Salary
  5214 Sales Expenses
  5215 Telephone Expenses
  5216 Travel Expenses
  5217 Utility Expenses
  5218 Write Off
  5219 Exchange Gain/Loss
  5222 Gain/Loss on Asset Disposal
  5223 Miscellaneous Expenses [Chargeable]
4000 Income =Income
 4100 Direct Income
  4110 Sales
  4120 Service
 4200 Indirect Income +
2000 Source of Funds (Liabilities) =Liability
 2100-2400 Current Liabilities
  2100 Accounts Payable
   2110 Creditors [Payable]
   2120 Payroll Payable
  2200 Stock Liabilities
   2210 Stock Received But Not Billed [Stock Received But Not Billed]
   2211 Asset Received But Not Billed [Asset Received But Not Billed]
  2300 Duties and Taxes + [Tax]
   2310 TDS Payable
  2400 Loans (Liabilities)
   2410 Secured Loans
   2420 Unsecured Loans
   2430 Bank Overdraft Account
3000 Equity =Equity
 3100 Capital Stock [Equity]
 3200 Dividends Paid [Equity]
 3300 Opening Balance Equity [Equity]
 3400 Retained Earnings [Equity]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An account of a chart; `parent` is its place among them, None for a root."""

    number: str
    name: str
    type: str
    root: str
    parent: int | None
    group: bool


def offered(country: str, more: Mapping[str, tuple[str, ...]], *, with_standard: bool) -> list[str]:
    """[charts-method]. `more` are charts that this site has beside, by country."""
    own = [*OWN.get(country, ()), *more.get(country, ())]
    return own if len(own) == 1 and not with_standard else [*own, STANDARD, NUMBERED]


def known(chart: str, more: Mapping[str, tuple[str, ...]]) -> bool:
    """[chart-unknown]."""
    return chart in {STANDARD, NUMBERED, *(one for source in (OWN, more) for names in source.values() for one in names)}


def planned() -> tuple[Planned, ...]:
    """The standard chart, parents first. Every chart of the simulator has these accounts; only numbers differ."""
    lines = [line for line in _LINES.splitlines() if line.strip()]
    depths = [len(line) - len(line.lstrip()) for line in lines]
    return tuple(_read(lines, depths))


def _read(lines: list[str], depths: list[int]) -> Iterator[Planned]:
    above: list[int] = []
    root = ""
    for place, (line, depth) in enumerate(zip(lines, depths, strict=True)):
        number, _, rest = line.strip().partition(" ")
        rest, _, told_root = rest.partition(" =")
        rest, _, kind = rest.partition(" [")
        name, _, _ = rest.partition(" +")
        root = told_root or root
        above = above[:depth]
        below = place + 1 < len(lines) and depths[place + 1] > depth
        yield Planned(
            number=number,
            name=name,
            type=kind.rstrip("]"),
            root=root,
            parent=above[-1] if above else None,
            group=below or rest != name,
        )
        above.append(place)
