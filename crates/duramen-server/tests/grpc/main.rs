//! The gRPC door over a real socket, with the generated client and scripted workers. A test that stands for
//! a trap of the SDKs says so by its name.

mod answers;
mod clients;
mod lists;
mod operating;
mod starting;
mod support;
mod workers;
