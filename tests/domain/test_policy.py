"""The policy file: what it must say, and how it is refused."""

import hashlib
from datetime import date
from pathlib import Path

import pytest
from settlement.domain import policy
from settlement.domain.days import BankCalendar
from settlement.domain.errors import InvalidPolicy

POLICIES = Path(policy.__file__).parent.parent / "policies"


def refusal(toml: str) -> str:
    with pytest.raises(InvalidPolicy) as refused:
        policy.parse(toml.encode())
    return str(refused.value)


def test_the_korean_default_is_the_table_of_the_rules() -> None:
    kr = policy.load(POLICIES / "kr.toml")
    assert kr.waterfall.order == ("cost", "late_interest", "interest", "principal")
    assert kr.waterfall.across == "component" and kr.waterfall.excess == "hold"
    assert [(fee.on, fee.rate_ppm, fee.vat_ppm) for fee in kr.fees] == [
        (("interest", "late_interest"), 80_000, 100_000)
    ]
    assert kr.withholding["KRW"].unit == 10 and kr.withholding["KRW"].local_ppm == 100_000
    assert kr.approval.limit == {}
    assert kr.sha256 == hashlib.sha256((POLICIES / "kr.toml").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("tax_class", "disbursed_on", "settled_on", "rate_ppm"),
    [
        ("individual", date(2021, 8, 27), date(2026, 2, 16), 140_000),
        ("individual", date(2021, 8, 26), date(2021, 10, 20), 250_000),
        ("individual", date(2021, 8, 26), date(2021, 10, 21), 140_000),
        ("corporation", date(2020, 1, 1), date(2026, 2, 16), 250_000),
        ("lender", date(2020, 1, 1), date(2026, 2, 16), 0),
        ("nonresident", date(2020, 1, 1), date(2026, 2, 16), 200_000),
    ],
)
def test_exactly_one_withholding_rule_covers_each_case(
    tax_class: str, disbursed_on: date, settled_on: date, rate_ppm: int
) -> None:
    rules = policy.load(POLICIES / "kr.toml").tax_rules(
        currency="KRW", tax_class=tax_class, disbursed_on=disbursed_on, settlement_date=settled_on
    )
    assert [rule.rate_ppm for rule in rules] == [rate_ppm]


def test_the_euro_policy_follows_target_and_withholds_nothing() -> None:
    eur = policy.load(POLICIES / "eur.toml")
    calendar = BankCalendar(eur.calendar.country, eur.calendar.categories)
    assert not calendar.is_business_day(date(2026, 4, 3))  # Good Friday
    assert calendar.is_business_day(date(2026, 5, 14))  # Ascension: open in TARGET
    assert eur.waterfall.across == "installment" and eur.waterfall.excess == "advance_principal"
    assert {rule.rate_ppm for rule in eur.withholding["EUR"].rules} == {0}


def test_an_unknown_key_is_refused_by_name() -> None:
    assert "gate.need ['x']: no such key" in refusal('name = "a"\n[gate]\nneed = "x"')


def test_a_value_out_of_bounds_is_refused_with_what_is_allowed() -> None:
    said = refusal('name = "a"\n[gate]\nneeds = "hope"')
    assert "gate.needs ['hope']" in said and "'statement' or 'ledger'" in said
    said = refusal('name = "a"\n[payouts.KRW]\nmaximum = 1000000000000000000')
    assert "payouts.KRW.maximum [1000000000000000000]" in said and "less than or equal to 999999999999999999" in said


def test_a_calendar_that_nobody_knows_is_refused_before_a_day_is_settled_by_it() -> None:
    said = refusal('name = "a"\n[calendar]\ncountry = "ZZ"')
    assert "calendar.country [ZZ] is neither a country nor a market of the holidays package" in said
    said = refusal('name = "a"\n[calendar]\ncountry = "ECB"\ncategories = ["bank"]')
    assert "calendar.categories [bank] are not known for [ECB], which has [public]" in said


def test_a_rate_in_percent_instead_of_ppm_is_no_integer() -> None:
    assert "fees.0.rate_ppm [8.0]" in refusal('name="a"\n[[fees]]\nname="f"\non=["interest"]\nrate_ppm=8.0\nvat_ppm=0')


def test_deductions_that_could_exceed_a_share_are_refused() -> None:
    said = refusal(
        'name="a"\n[[fees]]\nname="f"\non=["interest"]\nrate_ppm=800000\nvat_ppm=100000\n'
        '[withholding.KRW]\nlocal_ppm=100000\n[[withholding.KRW.rules]]\ntax_class="individual"\nrate_ppm=140000'
    )
    assert "[interest] come to 103.40% of a share" in said


def test_a_fee_is_charged_on_the_dates_that_it_names_both_included() -> None:
    read = policy.parse(
        b'name="a"\n[[fees]]\nname="old"\non=["interest"]\nrate_ppm=600000\nsettled_until=2026-03-12\n'
        b'[[fees]]\nname="new"\non=["interest"]\nrate_ppm=700000\nsettled_from=2026-03-13\n'
    )
    assert [fee.name for fee in read.fees_on(date(2026, 3, 12))] == ["old"]
    assert [fee.name for fee in read.fees_on(date(2026, 3, 13))] == ["new"]


def test_fees_that_could_exceed_a_share_on_the_dates_that_they_have_in_common_are_refused() -> None:
    said = refusal(
        'name="a"\n[[fees]]\nname="old"\non=["interest"]\nrate_ppm=600000\nsettled_until=2026-03-13\n'
        '[[fees]]\nname="new"\non=["interest"]\nrate_ppm=700000\nsettled_from=2026-03-13\n'
    )
    assert "[interest] come to 130.00% of a share" in said


def test_a_fee_on_costs_is_refused_because_costs_are_not_shared() -> None:
    assert "[cost] belongs to the platform" in refusal(
        'name="a"\n[[fees]]\nname="f"\non=["cost"]\nrate_ppm=1\nvat_ppm=0'
    )


def test_a_waterfall_that_forgets_a_component_is_refused() -> None:
    assert "exactly once" in refusal('name="a"\n[waterfall]\norder=["interest","principal","cost"]')


@pytest.mark.parametrize("ours", ["INV-422", "INV-{number}-{number}", "INV-{number:6}", "INV-{n}"])
def test_a_reference_that_is_declared_without_its_number_once_is_refused(ours: str) -> None:
    assert "matching.references.0.ours" in refusal(f'name="a"\n[matching]\nreferences=[{{ ours = "{ours}" }}]')
    assert "such as INV-{number:06}" in refusal(f'name="a"\n[matching]\nreferences=[{{ ours = "{ours}" }}]')


def test_references_are_declared_as_the_source_and_as_payers_write_them() -> None:
    read = policy.parse(b'name="a"\n[matching]\nreferences=[{ ours = "INV-{number:06}", written = ["No. {number}"] }]')
    assert [(kind.ours, kind.written) for kind in read.matching.references] == [("INV-{number:06}", ("No. {number}",))]


def test_a_file_that_is_no_toml_is_refused_with_its_place() -> None:
    assert "line 2" in refusal('name = "a"\ncut_off = 24:00')


def test_a_missing_file_is_named_with_the_variable_to_set(tmp_path: Path) -> None:
    with pytest.raises(InvalidPolicy, match=r"nowhere.toml.*SETTLEMENT_POLICY"):
        policy.load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("days", ["0", "-1", "36501", "1.5", '"400"'])
def test_a_look_back_of_no_whole_number_of_days_is_refused(days: str) -> None:
    assert "source.look_back_days" in refusal(f'name="a"\n[source]\nlook_back_days={days}')
