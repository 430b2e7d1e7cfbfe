from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archindex.core.errors import ArgumentError, InputError, UnknownNameError
from archindex.core.metrics import COLUMN_PATTERN, METRICS, SPLITS
from archindex.datasets.mapping import UNITS, parse_target

contexts = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)


@st.composite
def forms(draw: st.DrawFn) -> dict[str, str]:
    metric = draw(st.sampled_from(sorted(METRICS)))
    return {
        "context": draw(contexts),
        "split": draw(st.sampled_from([*SPLITS, ""])),
        "metric": metric,
        "unit": draw(st.sampled_from([*UNITS.get(metric, {}), ""])),
        "seed": draw(st.sampled_from(["", "0", "777"])),
        "provenance": draw(st.sampled_from(["", "measured", "summed", "computed", "predicted"])),
    }


def written(form: dict[str, str], *, short: bool) -> str:
    split = "" if short and not form["split"] else f"{form['split']}:"
    marks = {"unit": "@", "seed": "#", "provenance": "/"}
    tail = "".join(mark + form[key] for key, mark in marks.items() if form[key])
    return f"{form['context']}:{split}{form['metric']}{tail}"


@given(forms(), st.booleans())
def test_every_form_is_read_as_written(form: dict[str, str], short: bool) -> None:
    target = parse_target(written(form, short=short), "a.csv")
    spec = target.spec
    assert (spec.context, spec.split, spec.metric) == (form["context"], form["split"], form["metric"])
    assert spec.seed == (int(form["seed"]) if form["seed"] else None)
    assert spec.provenance == (form["provenance"] or "measured")
    assert spec.source == "a.csv"
    assert target.factor == (UNITS[form["metric"]][form["unit"]] if form["unit"] else 1.0)
    assert COLUMN_PATTERN.fullmatch(spec.column)
    assert spec.column.endswith("_predicted") == (spec.provenance == "predicted")


@given(st.text(alphabet="abz09_:@#/ \nÀ", max_size=24) | st.text(max_size=12))
def test_any_text_is_read_or_refused_in_our_words(text: str) -> None:
    try:
        target = parse_target(text)
    except InputError:
        return
    assert text.startswith(f"{target.spec.context}:")


@pytest.mark.parametrize(
    ("text", "column", "factor"),
    [
        ("cifar10:valid:acc", "cifar10_valid_acc", 1.0),
        ("cifar10:valid:acc@fraction", "cifar10_valid_acc", 100.0),
        ("jetson::latency", "jetson_latency_ms", 1.0),
        ("jetson:latency@us", "jetson_latency_ms", 1e-3),
        ("cifar10:params@count", "cifar10_params_m", 1e-6),
        ("pi5:energy/predicted", "pi5_energy_mj_predicted", 1.0),
    ],
)
def test_examples(text: str, column: str, factor: float) -> None:
    target = parse_target(text)
    assert (target.spec.column, target.factor) == (column, factor)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", ArgumentError, "expected CONTEXT"),
        ("acc", ArgumentError, "expected CONTEXT"),
        ("Cifar10:valid:acc", ArgumentError, "expected CONTEXT"),
        ("cifar10:valid:acc ", ArgumentError, "expected CONTEXT"),
        ("cifar10:valid:acc#-1", ArgumentError, "expected CONTEXT"),
        ("cifar10:valid:acc#٣", ArgumentError, "expected CONTEXT"),
        ("cifar10:valid:accc", UnknownNameError, "did you mean 'acc'"),
        ("cifar10:vaild:acc", UnknownNameError, "did you mean 'valid'"),
        ("jetson:latency@msec", UnknownNameError, "did you mean 'ms'"),
        ("mine:score@percent", UnknownNameError, "there is no unit of score"),
        ("jetson:latency/predict", UnknownNameError, "did you mean 'predicted'"),
    ],
)
def test_what_does_not_fit_is_told(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parse_target(text)


def test_every_unit_of_a_metric_is_known_with_factor_one() -> None:
    for name, metric in METRICS.items():
        if metric.unit:
            assert UNITS[name][metric.unit] == 1.0
    assert set(UNITS) <= set(METRICS)
