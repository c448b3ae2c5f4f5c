//! Starts children and kills them.

use crate::aim::{Aim, Tally};
use crate::child::Orders;
use crate::phase::{Mark, Phase};
use std::error::Error;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

const SIGKILL: i32 = 9;

/// Lets one child live as long as its aim says.
pub(crate) fn kill_one(orders: &Orders, aim: Aim, tally: &mut Tally) -> Result<(), Box<dyn Error>> {
    let mut victim = Victim::start(orders, tally)?;
    victim.wait_for(aim);
    victim.kill()
}

/// A child and what it does.
struct Victim<'a> {
    child: Child,
    started: Instant,
    marks: Receiver<(Instant, Mark)>,
    /// When phases began that have not ended. Fillings and changes can overlap.
    open: [Vec<Instant>; Phase::COUNT],
    tally: &'a mut Tally,
}

impl<'a> Victim<'a> {
    fn start(orders: &Orders, tally: &'a mut Tally) -> Result<Self, Box<dyn Error>> {
        let errors = OpenOptions::new().create(true).append(true).open(orders.folder.join("stderr.txt"))?;
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .arg("child")
            .args(["--folder".as_ref(), orders.folder.as_os_str()])
            .args(["--seed", &orders.seed.to_string()])
            .args(["--life", &orders.life.to_string()])
            .args(["--partitions", &orders.partitions.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("the child has no output")?).lines();
        let (send, marks) = channel();
        thread::spawn(move || {
            for mark in lines.map_while(Result::ok).filter_map(|line| Mark::parse(&line)) {
                if send.send((Instant::now(), mark)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, started, marks, open: Default::default(), tally })
    }

    fn wait_for(&mut self, aim: Aim) {
        let limit = self.started + aim.limit();
        while let Ok((at, mark)) = self.marks.recv_timeout(limit.saturating_duration_since(Instant::now())) {
            self.note(at, mark);
            if let Aim::Phase { phase, after, into } = aim
                && mark == (Mark { phase, begins: true })
                && at >= self.started + after
            {
                self.stay(at + into);
                return;
            }
        }
    }

    /// Waits on within a phase. The wait is shorter than what the system's timers can do, so it is
    /// spent awake.
    fn stay(&mut self, until: Instant) {
        while Instant::now() < until {
            match self.marks.recv_timeout(Duration::ZERO) {
                Ok((at, mark)) => self.note(at, mark),
                Err(RecvTimeoutError::Timeout) => std::hint::spin_loop(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn note(&mut self, at: Instant, mark: Mark) {
        let open = &mut self.open[mark.phase.index()];
        if mark.begins {
            open.push(at);
        } else if let Some(began) = open.pop() {
            self.tally.lasted(mark.phase, at - began);
        }
    }

    fn kill(mut self) -> Result<(), Box<dyn Error>> {
        self.child.kill()?;
        let status = self.child.wait()?;
        if status.signal() != Some(SIGKILL) {
            return Err(format!("the child ended by itself ({status}); its stderr.txt says why").into());
        }
        // What it said before it died is still in the pipe.
        while let Ok((at, mark)) = self.marks.recv() {
            self.note(at, mark);
        }
        for phase in Phase::ALL {
            if !self.open[phase.index()].is_empty() {
                self.tally.hit(phase);
            }
        }
        Ok(())
    }
}
