//! The samples are in this folder, one file each: `cargo run --example chain`. There is nothing in the library.
