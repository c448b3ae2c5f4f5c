//! The doors of Duramen on a network.
//!
//! A server has task hubs ([`Hubs`]), which open when they are needed, and doors that translate: gRPC for the Durable
//! Task SDKs, HTTP for people and for what watches over the process ([`http`]). It decides nothing: what a request does
//! is the hub's business, and what a hub keeps its instances in is the business of the binary, which gives the server a
//! way to open one.

pub mod http;
mod hubs;
mod nearest;

pub use hubs::{HubName, HubState, Hubs, MADE_HUBS, NameError, NoHub, OpenHub, Opener, Phase, StoreState, Which};
pub use nearest::nearest;
