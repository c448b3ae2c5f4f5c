//! The samples are in this folder, one file each: `cargo run --example chain`. The library is empty; it is where the
//! code in README is compiled.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
