# Names for the commands that people run. None of them is needed for the two in README.md.

# Run every test
test:
    cargo test --release --workspace && cd guest && cargo test --release --ignore-rust-version -p wardian-screen --target-dir ../target/guest

# Run the checks of continuous integration
ci:
    .ci/run

# Format and lint
lint:
    cargo fmt --all && cargo fmt --all --manifest-path guest/Cargo.toml && rustfmt --edition 2024 guest/overlay/*/*.rs && cargo clippy --release --workspace --all-targets -- -D warnings

# Measure small things many times: starts, screening, decisions
bench *args:
    cargo bench -p wardian-cli --bench micro -- {{args}}

# Measure whole processes, files and tools in a run
figures *args:
    cargo bench -p wardian-cli --bench figures -- {{args}}

# Measure many sandboxes at once, short runs beside long ones, a million runs
load *args:
    cargo bench -p wardian-tests --bench load -- {{args}}

# Measure what counting fuel costs: a guest that does not count, this one, and one for which wasmtime counts
fuel *args:
    cargo build --release -p wardian-cli && cd tests/fuel && cargo run --release --locked --target-dir ../../target/fuel -- {{args}}

# Compare with python3, eryx and Monty, and write docs/compare.md. Needs a Python that these support, 3.12 or later
compare python="python3":
    cargo bench -p wardian-tests --bench compare -- --python {{python}} --docs {{justfile_directory()}}/docs

# Run CPython's own tests in the sandbox, and write docs/conformance.md. Debian's packages have them
conformance *args:
    cargo bench -p wardian-tests --bench conformance -- {{args}}

# Compare with python3 on programs that are made at random, for so many seconds. Finds go to target/differential
differential seconds="60" *args:
    cargo bench -p wardian-tests --bench differential -- {{seconds}} {{args}}

# Measure what was slow by a factor, as ratios to python3
ratios *args:
    cargo bench -p wardian-tests --bench ratios -- {{args}}

# Check licences and advisories
deny:
    cargo deny --all-features check && cargo deny --manifest-path guest/Cargo.toml check

# Rewrite the recorded list of the guest's modules
modules:
    UPDATE_EXPECT=1 cargo test --release -p wardian-tests modules

# Run hostile and benign code at random for minutes, and draw what that costs. Clock steps need Debian's libfaketime
soak minutes="20" seed="1":
    cargo bench -p wardian-tests --bench soak -- --minutes {{minutes}} --seed {{seed}} --plot {{justfile_directory()}}/docs/soak.svg

# Play runs on a host that is short of threads, descriptors, address space, room in files, at every level
faults:
    WARDIAN_FAULTS=all cargo test --release -p wardian-cli --test cli faults -- --nocapture

# Fuzz a target for ten minutes: policy_file, matchers, guest_messages, audit_log. Needs cargo-fuzz; finds go to target/fuzz
fuzz target seconds="600":
    mkdir -p target/fuzz/{{target}} && cd tests/fuzz && RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=../../target/fuzz cargo fuzz run --fuzz-dir . {{target}} ../../target/fuzz/{{target}} corpus/{{target}} -- -max_total_time={{seconds}} -max_len=4096
