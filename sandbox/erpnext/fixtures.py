"""What a site holds before anybody works on it: what Frappe brings, and what its set-up wizard makes.

[wizard-fixtures], [setup-complete]: a site whose wizard was never finished has only the first half.
"""

from sandbox.erpnext.documents import ADMINISTRATOR, Documents

_COUNTRIES = {
    "Kenya": "ke", "Uganda": "ug", "Tanzania": "tz", "Germany": "de", "India": "in", "France": "fr",
    "Switzerland": "ch", "United States": "us", "United Kingdom": "gb",
    "South Africa": "za", "Nigeria": "ng", "Rwanda": "rw",
}  # fmt: skip
_CURRENCIES = ("KES", "UGX", "TZS", "EUR", "INR", "CHF", "USD", "GBP", "ZAR", "NGN", "RWF")
_UNITS = (
    "Nos",
    "Unit",
    "Box",
    "Kg",
    "Gram",
    "Litre",
    "Meter",
    "Pair",
    "Set",
    "Hour",
    "Pack",
    "Bottle",
    "Tablet",
    "Strip",
)
_MODES = {"Cash": "Cash", "Credit Card": "Bank", "Wire Transfer": "Bank", "Bank Draft": "Bank", "Cheque": "Bank"}
_TREES = {
    ("Item Group", "item_group_name", "parent_item_group"): (
        "All Item Groups", "Products", "Raw Material", "Services", "Sub Assemblies", "Consumable",
    ),
    ("Customer Group", "customer_group_name", "parent_customer_group"): (
        "All Customer Groups", "Individual", "Commercial", "Non Profit", "Government",
    ),
    ("Territory", "territory_name", "parent_territory"): ("All Territories", "Rest Of The World"),
}  # fmt: skip


def installed(site: Documents) -> None:
    """As after `bench new-site` and `install-app`: nobody has finished the wizard."""
    for country, code in _COUNTRIES.items():
        site.insert("Country", {"country_name": country, "code": code})
    for currency in _CURRENCIES:
        site.insert("Currency", {"currency_name": currency, "enabled": 1})
    site.insert("User", {"email": ADMINISTRATOR, "first_name": ADMINISTRATOR, "username": "administrator"})
    for single in ("System Settings", "Global Defaults", "Buying Settings", "Stock Settings", "POS Settings"):
        site.update(single, single, {})
    site.update("Selling Settings", "Selling Settings", {"cust_master_name": "Customer Name"})


def set_up(site: Documents) -> None:
    """As after the wizard, but for the company that it makes too."""
    site.insert("Warehouse Type", {"name": "Transit"})
    for unit in _UNITS:
        site.insert("UOM", {"uom_name": unit, "enabled": 1})
    for (doctype, field, parent), names in _TREES.items():
        for name in names:
            above = None if name == names[0] else names[0]
            site.insert(doctype, {field: name, parent: above, "is_group": above is None})
    for mode, kind in _MODES.items():
        site.insert("Mode of Payment", {"mode_of_payment": mode, "type": kind})
    for side in ("selling", "buying"):
        name = f"Standard {side.title()}"
        site.insert("Price List", {"price_list_name": name, "currency": "USD", side: 1})
    year = site.records.now()[:4]
    dates = {"year_start_date": f"{year}-01-01", "year_end_date": f"{year}-12-31"}
    site.insert("Fiscal Year", {"year": year, **dates})
    customers = {"customer_group": "Individual", "territory": "All Territories"}
    site.update("Selling Settings", "Selling Settings", customers)
    site.update("Stock Settings", "Stock Settings", {"item_naming_by": "Item Code", "stock_uom": "Nos"})
    site.update("System Settings", "System Settings", {"setup_complete": 1, "language": "en", "time_zone": "UTC"})
