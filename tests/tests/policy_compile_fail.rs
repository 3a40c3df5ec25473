//! What the types of the policy layer must refuse, each case one small program.
//!
//! The messages beside the programs are those of one compiler. After a change of the compiler,
//! run the test with `TRYBUILD=overwrite` and read the difference.

#[test]
fn b42_b46_what_is_forged_spent_or_undeclared_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
