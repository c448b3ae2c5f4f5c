//! Gives an instance what it needs to come to its end.

use crate::desk::{Desk, has_ended, job};
use crate::functions::gate_file;
use crate::known::Instance;
use duramen_core::request::Refusal;
use duramen_proto::OrchestrationStatus;
use std::io;
use std::path::Path;
use std::time::Duration;

/// What it takes, and for how long an end is waited for; without a time for ever.
pub(crate) struct Finisher<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) gates: &'a Path,
    pub(crate) patience: Option<Duration>,
}

impl Finisher<'_> {
    /// Brings an instance to its end as a client that knows what the witness knows. One that does not
    /// exist is left alone.
    pub(crate) async fn finish(&self, id: &str, known: &Instance) -> Result<(), Refusal> {
        let Some(state) = self.desk.get(id).await? else { return Ok(()) };
        if state.orchestration_status() == OrchestrationStatus::Suspended {
            self.desk.resume(id).await?;
        }
        match state.name.as_str() {
            "Events" | "Eternal" if !has_ended(&state) => {
                for event in job(&state).events() {
                    // One without an answer may have landed or not; its twin does no harm.
                    if known.raises.get(&event).is_none_or(|raise| raise.acknowledged == 0) {
                        self.desk.raise(id, event).await?;
                    }
                }
            }
            "Long" | "Family" if !has_ended(&state) => self.desk.terminate(id, "\"late\"".to_owned()).await?,
            "Doomed" => return self.rewind(id).await,
            _ => {}
        }
        self.desk.ended(id, None, self.patience).await.map(drop)
    }

    /// Waits until the gate has failed, opens it, and rewinds.
    pub(crate) async fn rewind(&self, id: &str) -> Result<(), Refusal> {
        let state = self.desk.ended(id, None, self.patience).await?;
        if state.orchestration_status() == OrchestrationStatus::Failed {
            open_gate(self.gates, &job(&state).key).map_err(|error| Refusal::Stopped(error.to_string()))?;
            match self.desk.rewind(id).await {
                // Somebody else was faster.
                Err(Refusal::WrongStatus { .. }) | Ok(()) => {}
                Err(refusal) => return Err(refusal),
            }
            self.desk.ended(id, None, self.patience).await?;
        }
        Ok(())
    }
}

fn open_gate(gates: &Path, key: &str) -> io::Result<()> {
    std::fs::create_dir_all(gates)?;
    std::fs::write(gates.join(gate_file(key)), b"")
}
