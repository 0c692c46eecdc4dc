# Names for the commands that people run. None of them is needed for the two in README.md.

# Run every test, of every workspace
test *args:
    tests/run {{args}}

# Run the checks of continuous integration
ci:
    .ci/run

# Format and lint
lint:
    cargo fmt --all && cargo fmt --all --manifest-path guest/Cargo.toml && rustfmt --edition 2024 guest/overlay/*/*.rs && cargo clippy --release --workspace --all-targets -- -D warnings

# Measure: micro, process, load, ratios, compare --python PYTHON --docs docs, soak --minutes 20 --seed 1 --plot docs/soak.svg
bench name *args:
    cargo build --release -p wardian-cli && cargo bench -p wardian-bench --bench {{name}} -- {{args}}

# Measure what counting fuel costs: a guest that does not count, this one, and one for which wasmtime counts
fuel *args:
    cargo build --release -p wardian-cli && cd bench/fuel && cargo run --release --locked --target-dir ../../target/fuel -- {{args}}

# Judge the Python: conformance (CPython's own tests, writes docs/conformance.md), differential SECONDS (random programs)
judge name *args:
    cargo bench -p wardian-tests --bench {{name}} -- {{args}}

# Try popular packages in the sandbox, and write docs/packages.md: fetches them by pip
packages:
    policies/interpreter/fetch && cargo bench -p wardian-tests --bench packages

# Run on a host that is short of threads, descriptors, address space, room in files, at every level
faults:
    WARDIAN_FAULTS=all cargo test --release -p wardian-cli --test cli faults -- --nocapture

# Fuzz policy_file, matchers, guest_messages, audit_log or snapshot. Needs cargo-fuzz; finds go to target/fuzz
fuzz target seconds="600":
    mkdir -p target/fuzz/{{target}} && cd tests/fuzz && RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=../../target/fuzz cargo fuzz run --fuzz-dir . {{target}} ../../target/fuzz/{{target}} corpus/{{target}} -- -max_total_time={{seconds}} -max_len=4096

# Package the crates, and run a project that has only the packages
package:
    tests/package
