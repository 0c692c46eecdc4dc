//! Modules that are metered, run by an interpreter; and what `verify` finds in some that are not.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use wardian_abi::fuel;
use wardian_meter::{meter, verify};
use wasmi::{Caller, Engine, Linker, Module, Store, TypedFunc, Val};

/// The end of a call of `run`, and the fuel that it took.
#[derive(Debug, PartialEq)]
struct RunResult {
    returned: Option<i32>,
    fuel: u64,
}

/// Runs the export `run` of a module in text form, metered, with so much fuel, given in portions.
fn run(text: &str, argument: i32, limit: i64, portion: i64) -> RunResult {
    let metered = meter(&wat::parse_str(text).unwrap()).unwrap();
    verify(&metered.module).unwrap();
    let engine = Engine::default();
    let module = Module::new(&engine, &metered.module).unwrap();
    // What is left to be given.
    let mut store = Store::new(&engine, limit);
    let mut linker = Linker::new(&engine);
    let refuel = move |mut caller: Caller<'_, i64>| {
        let global = caller
            .get_export(fuel::EXPORT)
            .unwrap()
            .into_global()
            .unwrap();
        let left = global.get(&caller).i64().unwrap();
        let more = (*caller.data()).min(portion - left);
        *caller.data_mut() -= more;
        if left + more < 0 {
            return Err(wasmi::Error::new("out of fuel"));
        }
        global.set(&mut caller, Val::I64(left + more)).unwrap();
        Ok(())
    };
    linker.func_wrap("host", "nothing", || {}).unwrap();
    linker
        .func_wrap(fuel::MODULE, fuel::FUNCTION, refuel)
        .unwrap();
    let instance = linker.instantiate_and_start(&mut store, &module).unwrap();
    let run: TypedFunc<i32, i32> = instance.get_typed_func(&store, "run").unwrap();
    let returned = match run.call(&mut store, argument) {
        Ok(value) => Some(value),
        Err(error) if error.to_string().contains("out of fuel") => None,
        Err(error) => panic!("{error}"),
    };
    let left = instance.get_global(&store, fuel::EXPORT).unwrap();
    let left = left.get(&store).i64().unwrap();
    let used = limit - *store.data() - left;
    RunResult {
        returned,
        fuel: used.try_into().unwrap(),
    }
}

/// A module with a function `run` of this body, after others.
fn module(others: &str, body: &str) -> String {
    format!(
        "(module (import \"host\" \"nothing\" (func $nothing)) (memory 1) (global (mut i32) (i32.const 0))
        {others} (func $run (export \"run\") (param i32) (result i32) {body}))"
    )
}

/// The sum of the numbers below the argument.
const SUM: &str = "(local $i i32) (local $sum i32)
    (block $done (loop $next
        (br_if $done (i32.ge_s (local.get $i) (local.get 0)))
        (local.set $sum (i32.add (local.get $sum) (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (local.get $sum)";

/// Functions that call each other without end: straight, by turns, and through a table.
const ENDLESS_CALLS: &[(&str, &str)] = &[
    (
        "(func $twice (call $twice) (call $twice))",
        "(call $twice) (i32.const 0)",
    ),
    (
        "(func $ping (call $pong) (call $pong)) (func $pong (call $ping))",
        "(call $ping) (i32.const 0)",
    ),
    (
        "(type $t (func)) (table funcref (elem $a $b))
        (func $a (call_indirect (type $t) (i32.const 1)) (call $b)) (func $b (call_indirect (type $t) (i32.const 0)))",
        "(call $a) (i32.const 0)",
    ),
];

#[test]
fn what_is_computed_is_the_same_and_costs_the_same_whatever_the_portions() {
    for argument in [0, 1, 10, 1_000] {
        let ran = run(&module("", SUM), argument, 1_000_000, 1_000_000);
        assert_eq!(ran.returned, Some(argument * (argument - 1) / 2));
        for portion in [1, 7, 100, 10_000] {
            assert_eq!(run(&module("", SUM), argument, 1_000_000, portion), ran);
        }
    }
}

/// A turn costs what its instructions do: thirteen, of which the labels cost nothing.
#[test]
fn a_turn_of_a_loop_costs_its_instructions() {
    let fuel = |turns| run(&module("", SUM), turns, 1_000_000, 1_000_000).fuel;
    assert_eq!(fuel(11) - fuel(10), 13);
    assert_eq!(fuel(1_000) - fuel(10), 990 * 13);
}

#[test]
fn what_goes_on_without_end_is_stopped() {
    let endless = module("", "(loop $next (br $next)) (unreachable)");
    let stopped = run(&endless, 0, 1_000, 100);
    assert_eq!(stopped.returned, None);
    assert!((1_000..1_010).contains(&stopped.fuel), "{stopped:?}");
    for (functions, body) in ENDLESS_CALLS {
        // Less than what the interpreter's stack would hold.
        let stopped = run(&module(functions, body), 0, 500, 100);
        assert_eq!(stopped.returned, None, "{functions}");
    }
}

/// A function of no loops that calls only such is paid for by whoever calls it.
#[test]
fn functions_that_are_bounded_have_no_check() {
    let leaves = "(func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
        (func $branch (param i32) (result i32) (call $leaf (call $leaf (local.get 0))))
        (func $loops (param i32) (result i32) (loop $next (br_if $next (i32.eqz (local.get 0)))) (local.get 0))";
    let body = "(call $loops (call $branch (local.get 0)))";
    let metered = meter(&wat::parse_str(module(leaves, body)).unwrap()).unwrap();
    assert_eq!(
        (metered.functions, metered.checked, metered.loops),
        (4, 0, 1)
    );
    let looping = format!(
        "(loop $next {body} (local.set 0) (br_if $next (i32.lt_s (local.get 0) (i32.const 100)))) (local.get 0)"
    );
    let fuel = |from| run(&module(leaves, &looping), from, 100_000, 100_000).fuel;
    // A leaf is 3, the branch 3 and two leaves, the loop's function 1 and 3 for its turn; the turn
    // around them 8.
    assert_eq!(fuel(10) - fuel(12), 3 + 6 + 1 + 3 + 8);
}

/// The price is the mean of the branches that don't end in a trap, and at least a sixteenth of the
/// longest.
#[test]
fn branches_cost_what_they_are_taken_to_be() {
    let sets = |count: usize| "(global.set 0 (i32.const 1))".repeat(count);
    let turn = |inside: &str| {
        let body = format!(
            "(loop $next {inside} (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 0)"
        );
        let fuel = |turns| run(&module("", &body), turns, 100_000, 100_000).fuel;
        fuel(3) - fuel(2)
    };
    let empty = turn("");
    let choice = |one, other| format!("(if (local.get 0) (then {one}) (else {other}))");
    assert_eq!(turn(&choice(sets(1), sets(5))), empty + 2 + 6);
    assert_eq!(turn(&choice(sets(5), sets(1))), empty + 2 + 6);
    let trap = format!("{} unreachable", sets(9));
    assert_eq!(turn(&choice(sets(2), trap)), empty + 2 + 4);
    let long = format!("{} unreachable", sets(8 * 100));
    assert_eq!(turn(&choice(sets(2), long)), 100 + 1);
    let table = format!(
        "(block $a (block $b (block $c (br_table $a $b $c (i32.const 0))) {} (br $a)) {})",
        sets(4),
        sets(2)
    );
    // Nothing, two settings, or four and a branch: the mean, rounded up.
    assert_eq!(turn(&table), empty + 2 + (4 + 9_u64).div_ceil(3));
}

#[test]
fn copies_and_fills_are_paid_for_by_the_byte() {
    for copy in ["memory.copy", "memory.fill"] {
        let body = format!("({copy} (i32.const 0) (i32.const 9) (local.get 0)) (i32.const 0)");
        let fuel = |bytes| run(&module("", &body), bytes, 1_000_000, 1_000_000).fuel;
        assert_eq!(fuel(50_000) - fuel(0), 50_000, "{copy}");
        let constant = |bytes: i32| {
            let body =
                format!("({copy} (i32.const 0) (i32.const 9) (i32.const {bytes})) (i32.const 0)");
            run(&module("", &body), 0, 1_000_000, 1_000_000).fuel
        };
        assert_eq!(constant(128), constant(0), "{copy}");
        assert_eq!(constant(129) - constant(0), 129, "{copy}");
    }
}

#[test]
fn what_is_not_known_is_refused() {
    for (others, body) in [
        (
            "(func $f) (elem declare func $f)",
            "(drop (ref.func $f)) (i32.const 0)",
        ),
        ("(func $f (return_call $f))", "(i32.const 0)"),
    ] {
        let refused = meter(&wat::parse_str(module(others, body)).unwrap());
        let message = refused.err().unwrap().to_string();
        assert!(message.contains("is not metered"), "{message}");
    }
}

/// A module as `meter` would write it, with something missing or changed.
#[test]
fn verify_finds_what_is_not_metered() {
    const CHECK: &str = "(global.set $fuel (i64.sub (global.get $fuel) (i64.const 3)))
        (if (i64.lt_s (global.get $fuel) (i64.const 0)) (then (call $refuel)))";
    const PAY: &str = "(local.set 0) (global.set $fuel (i64.sub (global.get $fuel) (i64.extend_i32_u (local.get 0))))
        (local.get 0)";
    let verified = |code: &str| {
        let text = format!(
            "(module (type $t (func)) (import \"{}\" \"{}\" (func $refuel)) (memory 1) (table funcref (elem $f $g))
            (global $fuel (export \"{}\") (mut i64) (i64.const 0)) {code})",
            fuel::MODULE, fuel::FUNCTION, fuel::EXPORT
        );
        verify(&wat::parse_str(text).unwrap()).map_err(|error| format!("{error:#}"))
    };
    let functions = |f: &str, g: &str| {
        verified(&format!(
            "(func $f (local i32) {f}) (func $g (local i32) {g})"
        ))
    };
    let check_of = |fuel: &str| CHECK.replace("i64.const 3", fuel);
    let copy = "(i32.const 0) (i32.const 0) (i32.const 500)";

    // As it should be.
    let looping = |check: &str| format!("(loop $l {check} (br $l))");
    assert_eq!(functions(&looping(CHECK), ""), Ok(()));
    assert_eq!(
        functions(&format!("{CHECK} (call $f)"), "(call $f)"),
        Ok(())
    );
    let through_table = "(call_indirect (type $t) (i32.const 0))";
    assert_eq!(
        functions(&format!("{CHECK} {through_table}"), CHECK),
        Ok(())
    );
    assert_eq!(
        functions(&format!("{copy} {PAY} (memory.copy)"), ""),
        Ok(())
    );

    let cycle = "functions without a check call each other in a cycle";
    let no_check = "function 1: a loop has no check";
    let touched = "function 1: fuel is touched outside of a check";
    let unpaid = "function 1: bytes are copied or filled that are not paid for";
    let asked = "function 1: fuel is asked for outside of a check";
    for (f, g, expected) in [
        // No check, or one that takes nothing off, or gives.
        (looping(""), String::new(), no_check),
        (looping(&check_of("i64.const 0")), String::new(), no_check),
        (looping(&check_of("i64.const -1")), String::new(), no_check),
        // It comes too late, or not in every turn.
        (format!("{CHECK} {}", looping("")), String::new(), no_check),
        (looping(&format!("nop {CHECK}")), String::new(), no_check),
        (looping(&looping(CHECK)), String::new(), no_check),
        // It asks another, or under another condition.
        (
            looping(&CHECK.replace("(call $refuel)", "(call $g)")),
            String::new(),
            no_check,
        ),
        (
            looping(&CHECK.replace("lt_s", "gt_s")),
            String::new(),
            no_check,
        ),
        (
            looping(&CHECK.replace("(call $refuel)", "")),
            String::new(),
            no_check,
        ),
        // Cycles of calls.
        ("(call $f)".to_owned(), String::new(), cycle),
        (format!("nop {CHECK} (call $f)"), String::new(), cycle),
        ("(call $g)".to_owned(), "(call $f)".to_owned(), cycle),
        (through_table.to_owned(), String::new(), cycle),
        (
            format!("{CHECK} (call $g)"),
            through_table.to_owned(),
            cycle,
        ),
        // The fuel itself.
        (
            "(global.set $fuel (i64.const 9))".to_owned(),
            String::new(),
            touched,
        ),
        (
            format!("{CHECK} (drop (global.get $fuel))"),
            String::new(),
            touched,
        ),
        ("(call $refuel)".to_owned(), String::new(), asked),
        // Bytes.
        (format!("{copy} (memory.copy)"), String::new(), unpaid),
        (format!("{copy} (memory.fill)"), String::new(), unpaid),
        (
            format!("{copy} {PAY} drop (i32.const 900) (memory.copy)"),
            String::new(),
            touched,
        ),
        (
            format!(
                "{copy} {} (memory.copy)",
                PAY.replace("extend_i32_u", "extend_i32_s")
            ),
            String::new(),
            touched,
        ),
    ] {
        assert_eq!(functions(&f, &g), Err(expected.to_owned()), "{f} {g}");
    }
    assert!(verified("(func $f (global.set $fuel (i64.const 1))) (func $g)").is_err());
}

#[test]
fn verify_finds_a_module_that_is_not_metered_at_all() {
    let plain = wat::parse_str(module("", SUM)).unwrap();
    let message = verify(&plain).unwrap_err().to_string();
    assert_eq!(message, "the module does not import what gives it fuel");
}
