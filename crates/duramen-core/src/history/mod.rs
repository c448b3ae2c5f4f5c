//! Histories as text that people read, compare and keep beside their tests.

pub mod rfc3339;
