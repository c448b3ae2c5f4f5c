//! A client of a server: what the connection adds to what `semantics` says of clients everywhere.

mod support;

mod connecting;
