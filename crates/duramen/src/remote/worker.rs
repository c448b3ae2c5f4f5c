//! A worker of a hub on a server.

use super::Remote;
use crate::worker::Worker;
use crate::{Error, Result};

impl Worker {
    /// Takes work from the server from now on.
    pub(crate) fn connect_to(&self, remote: &Remote) -> Result<()> {
        Err(Error::msg(format!("a worker of the server at {} is not possible yet", remote.address())))
    }
}
