//! The servers of one run of a suite: each on loopback ports of its own that it keeps, with a data folder of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take until its port answers, and until it has stopped after SIGTERM.
const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The command line of a server, with its places for the verb, addresses and folder.
#[derive(Clone)]
pub(crate) struct Launch(Vec<String>);

impl Launch {
    pub(crate) fn new(command: &str) -> Self {
        Self(command.split_whitespace().map(str::to_owned).collect())
    }
}

/// What a suite is told of a server that has been started.
pub(crate) struct Started {
    pub(crate) id: usize,
    pub(crate) address: String,
}

/// All servers of a run, shared with the control endpoint.
#[derive(Clone)]
pub(crate) struct Servers {
    launch: Launch,
    folder: PathBuf,
    running: Arc<Mutex<BTreeMap<usize, Server>>>,
}

struct Server {
    command: Vec<String>,
    address: SocketAddr,
    log: PathBuf,
    child: Option<Child>,
}

impl Servers {
    pub(crate) fn new(launch: Launch, folder: PathBuf) -> Self {
        Self { launch, folder, running: Arc::default() }
    }

    /// Starts another server, with more arguments than the usual ones. The verb `serve` may stand before them.
    pub(crate) fn add(&self, more: &[String]) -> Result<Started, String> {
        let (verb, more) = match more.split_first() {
            Some((first, rest)) if first == "serve" => ("serve", rest),
            _ => ("dev", more),
        };
        let mut servers = self.lock();
        let id = servers.len();
        let (grpc, http) = (free_port()?, free_port()?);
        let data = self.folder.join(format!("data-{id}")).display().to_string();
        let fill = |part: &String| {
            part.replace("{verb}", verb)
                .replace("{grpc}", &grpc.port().to_string())
                .replace("{http}", &http.port().to_string())
                .replace("{data}", &data)
        };
        let command = self.launch.0.iter().map(fill).chain(more.iter().cloned()).collect();
        let log = self.folder.join(format!("server-{id}.log"));
        let mut server = Server { command, address: grpc, log, child: None };
        server.start()?;
        servers.insert(id, server);
        Ok(Started { id, address: grpc.to_string() })
    }

    /// Starts a server that was killed or stopped, on its old ports and data.
    pub(crate) fn start(&self, id: usize) -> Result<(), String> {
        self.with(id, Server::start)
    }

    /// SIGKILL.
    pub(crate) fn kill(&self, id: usize) -> Result<(), String> {
        self.with(id, Server::kill)
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&self, id: usize) -> Result<(), String> {
        self.with(id, Server::stop)
    }

    pub(crate) fn stop_all(&self) {
        for server in self.lock().values_mut() {
            if let Err(problem) = server.stop() {
                eprintln!("{problem}");
            }
        }
    }

    fn with(&self, id: usize, act: impl Fn(&mut Server) -> Result<(), String>) -> Result<(), String> {
        self.lock().get_mut(&id).ok_or(format!("there is no server {id}")).and_then(act)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Server>> {
        self.running.lock().expect("no holder of this lock panics")
    }
}

impl Server {
    fn start(&mut self) -> Result<(), String> {
        if self.child.is_some() {
            return Err(format!("{} runs already", self.address));
        }
        let failed = |error| format!("failed to start {:?}: {error}", self.command);
        let log = File::options().create(true).append(true).open(&self.log).map_err(failed)?;
        let (program, arguments) = self.command.split_first().ok_or("the command of the server is empty")?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        self.child = Some(child);
        self.wait_until_it_answers()
    }

    fn wait_until_it_answers(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok()).flatten();
            if ended.is_some() || begun.elapsed() > START_LIMIT {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                self.kill()?;
                return Err(format!("{:?} does not answer on {}:\n{said}", self.command, self.address));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn kill(&mut self) -> Result<(), String> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child
            .kill()
            .and_then(|()| child.wait())
            .map_err(|error| format!("failed to kill {}: {error}", self.address))?;
        Ok(())
    }

    fn stop(&mut self) -> Result<(), String> {
        let Some(child) = self.child.as_mut() else { return Ok(()) };
        let failed = |error| format!("failed to stop {}: {error}", self.address);
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status().map_err(failed)?;
        let begun = Instant::now();
        while child.try_wait().map_err(failed)?.is_none() {
            if begun.elapsed() > STOP_LIMIT {
                self.kill()?;
                return Err(format!("{} did not stop within {STOP_LIMIT:?} of SIGTERM", self.address));
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.child = None;
        Ok(())
    }
}

/// A port nobody listens on now. Another process could take it before the server does; on a machine that runs tests
/// nobody has yet.
fn free_port() -> Result<SocketAddr, String> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound.map_err(|error| format!("failed to find a free port: {error}"))
}
