//! Operations with results that are known. The specification's own tests run with
//! `just conformance test_decimal`.

use wardian_decimal::{Context, Decimal, Format, Rounding, Status};

const CONTEXT: Context = Context {
    precision: 9,
    emax: 999,
    emin: -999,
    rounding: Rounding::HalfEven,
    clamp: false,
};

fn number(text: &str) -> Decimal {
    Context::EXACT.parse(text, &mut Status::default())
}

#[test]
fn results_are_rounded_to_the_precision() {
    type Operation = fn(&Context, &Decimal, &Decimal, &mut Status) -> Decimal;
    let rows: [(Operation, &str, &str, &str, Status); 17] = [
        (Context::add, "1.10", "2", "3.10", Status::empty()),
        (
            Context::add,
            "1E+20",
            "-1",
            "1.00000000E+20",
            Status::INEXACT | Status::ROUNDED,
        ),
        (Context::subtract, "0.3", "0.30", "0.00", Status::empty()),
        (Context::multiply, "1.20", "3", "3.60", Status::empty()),
        (
            Context::multiply,
            "1E+600",
            "1E+600",
            "Infinity",
            Status::OVERFLOW | Status::INEXACT | Status::ROUNDED,
        ),
        (
            Context::divide,
            "1",
            "3",
            "0.333333333",
            Status::INEXACT | Status::ROUNDED,
        ),
        (Context::divide, "2.40", "2", "1.20", Status::empty()),
        (
            Context::divide,
            "1",
            "0",
            "Infinity",
            Status::DIVISION_BY_ZERO,
        ),
        (Context::divide, "0", "0", "NaN", Status::DIVISION_UNDEFINED),
        (Context::divide_int, "7", "-2", "-3", Status::empty()),
        (Context::remainder, "-7", "3", "-1", Status::empty()),
        (Context::remainder_near, "10", "6", "-2", Status::empty()),
        (
            Context::remainder_near,
            "0E-900000000000000",
            "1E+900000000000000",
            "0E-1007",
            Status::CLAMPED,
        ),
        (Context::power, "2", "10", "1024", Status::empty()),
        (
            Context::power,
            "2",
            "0.5",
            "1.41421356",
            Status::INEXACT | Status::ROUNDED,
        ),
        (
            Context::quantize,
            "2.17",
            "0.1",
            "2.2",
            Status::INEXACT | Status::ROUNDED,
        ),
        (Context::max, "NaN", "1", "1", Status::empty()),
    ];
    for (operation, left, right, result, met) in rows {
        let mut status = Status::default();
        let computed = operation(&CONTEXT, &number(left), &number(right), &mut status);
        assert_eq!(
            (&*computed.to_scientific(true), status),
            (result, met),
            "{left}, {right}"
        );
    }
}

#[test]
fn functions_are_correctly_rounded() {
    let context = Context {
        precision: 50,
        ..CONTEXT
    };
    type Function = fn(&Context, &Decimal, &mut Status) -> Decimal;
    let rows: [(Function, &str, &str); 5] = [
        (
            Context::exp,
            "1",
            "2.7182818284590452353602874713526624977572470937000",
        ),
        (
            Context::ln,
            "10",
            "2.3025850929940456840179914546843642076011014886288",
        ),
        (
            Context::log10,
            "2",
            "0.30102999566398119521373889472449302676818988146211",
        ),
        (
            Context::sqrt,
            "2",
            "1.4142135623730950488016887242096980785696718753769",
        ),
        (
            Context::exp,
            "1E-60",
            "1.0000000000000000000000000000000000000000000000000",
        ),
    ];
    for (function, of, result) in rows {
        let computed = function(&context, &number(of), &mut Status::default());
        assert_eq!(computed.to_scientific(true), result);
    }
}

/// A result that would need more digits than there is memory for is told of, not computed.
#[test]
fn no_operation_asks_for_more_memory_than_there_is() {
    let one = number("1");
    let mut operations: Vec<(&str, Status)> = Vec::new();
    let mut note = |name, act: &dyn Fn(&mut Status) -> Decimal| {
        let mut status = Status::default();
        assert!(act(&mut status).is_nan(), "{name}");
        operations.push((name, status));
    };
    note("divide", &|status| {
        Context::EXACT.divide(&one, &number("3"), status)
    });
    note("add", &|status| {
        Context::EXACT.add(&number("1E+900000000000"), &one, status)
    });
    note("sqrt", &|status| Context::EXACT.sqrt(&number("2"), status));
    note("exp", &|status| Context::EXACT.exp(&one, status));
    note("next_minus", &|status| {
        Context::EXACT.next_minus(&number("Infinity"), status)
    });
    note("logical_invert", &|status| {
        Context::EXACT.logical_invert(&one, status)
    });
    for (name, status) in operations {
        assert!(status.contains(Status::OUT_OF_MEMORY), "{name}");
    }
    assert_eq!(number("1E+900000000000").to_int(), None);
    assert_eq!(
        Format::parse(".900000000000f", true)
            .unwrap()
            .apply(&one, Rounding::HalfEven),
        None
    );
}

#[test]
fn formats_are_pythons() {
    for (spec, of, text) in [
        ("", "1E+3", "1E+3"),
        (",.2f", "1234567.891", "1,234,567.89"),
        ("%", "0.5", "50%"),
        (".3e", "1E+10", "1.000e+10"),
        ("z.1f", "-0.01", "0.0"),
        ("*^9", "1.5", "***1.5***"),
        ("010,.1f", "1234", "0,001,234.0"),
        ("+g", "Infinity", "+Infinity"),
    ] {
        let format = Format::parse(spec, true).unwrap();
        assert_eq!(
            format.apply(&number(of), Rounding::HalfEven).as_deref(),
            Some(text),
            "{spec}"
        );
    }
    assert_eq!(Format::parse("d", true), None);
}
