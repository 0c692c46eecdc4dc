//! Scenarios in `cases/`: also the examples for whoever writes some.

wardian_testkit::scenarios!("cases": calls_with_approval, counts_orders, reads_no_password);
