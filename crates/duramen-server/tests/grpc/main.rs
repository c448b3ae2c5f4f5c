//! The gRPC door over a real socket, with the generated client and scripted workers. A test that stands for
//! a trap of the SDKs says so by its name.

mod acknowledged;
mod answers;
mod clients;
mod floods;
mod hostile;
mod lists;
mod operating;
mod proxy;
mod raw;
mod slow;
mod starting;
mod support;
mod workers;
