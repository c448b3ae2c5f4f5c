//! Tells systemd how far the server is (`Type=notify`).

/// What it can hear.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    /// All is open.
    Ready,
    /// It is going down.
    Stopping,
}

impl Told {
    #[cfg(target_os = "linux")]
    fn line(self) -> &'static str {
        match self {
            Self::Ready => "READY=1",
            Self::Stopping => "STOPPING=1",
        }
    }
}

/// Says it to whoever started the process, if it wants to know.
#[cfg(target_os = "linux")]
pub(crate) fn notify(told: Told) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&socket, told.line()) {
        tracing::warn!(socket = ?socket, ?told, "failed to tell systemd: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn notify(_told: Told) {}

#[cfg(target_os = "linux")]
fn send(socket: &std::ffi::OsStr, line: &str) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    // A name that begins with @ is one that has no file.
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(line.as_bytes(), &address).map(drop)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    fn heard(socket: &UnixDatagram) -> String {
        let mut line = [0; 64];
        let length = socket.recv(&mut line).expect("a line");
        String::from_utf8_lossy(&line[..length]).into_owned()
    }

    #[test]
    fn it_speaks_to_a_socket_with_a_file_and_to_one_without() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        send(path.as_os_str(), Told::Ready.line()).expect("it is heard");
        assert_eq!(heard(&socket), "READY=1");

        let name = format!("duramen-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("a socket");
        send(format!("@{name}").as_ref(), Told::Stopping.line()).expect("it is heard");
        assert_eq!(heard(&socket), "STOPPING=1");
    }
}
