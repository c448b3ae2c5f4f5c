//! What a seed does.

use crate::house::House;
use crate::message::Maker;
use crate::rng::Rng;
use crate::run::{Finding, found};
use crate::schema::{Rpc, Schema};
use crate::seat::{Seat, of_activity, of_episode};
use crate::values::{Known, NAMES};
use crate::wire;
use bytes::Bytes;
use duramen_proto::{
    CreateInstanceRequest, CreateInstanceResponse, GetInstanceResponse, ListInstanceIdsResponse, QueryInstancesResponse,
};
use prost::Message as _;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// How long a call may take that does not wait.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a wait says of its patience.
const WAIT: Duration = Duration::from_millis(20);
const SEATS: usize = 4;
/// Calls at once.
const BURST: usize = 60;

pub(crate) struct Script<'a> {
    schema: &'a Schema,
    rng: &'a mut Rng,
    known: Known,
    channels: Vec<Channel>,
    seats: Vec<Seat>,
    story: bool,
}

impl<'a> Script<'a> {
    pub(crate) async fn new(schema: &'a Schema, rng: &'a mut Rng, house: &House, story: bool) -> Self {
        let channels = vec![house.connect().await, house.connect().await];
        let known = Known { instances: (0..6).map(|n| format!("i{n}")).collect(), ..Known::default() };
        Self { schema, rng, known, channels, seats: Vec::new(), story }
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.rng.below(end)
    }

    pub(crate) async fn step(&mut self, house: &House) -> Result<(), Finding> {
        match self.rng.below(100) {
            0..26 => {
                let rpc = self.rng.pick(&self.schema.rpcs).clone();
                let message = self.maker().message(&rpc.request);
                self.call(&rpc, message).await
            }
            26..34 => {
                let rpc = self.rng.pick(&self.schema.rpcs).clone();
                let message = self.maker().broken(&rpc.request);
                self.call(&rpc, message).await
            }
            34..48 => self.start().await,
            48..53 => self.join().await,
            53..94 => self.work().await,
            94..97 => {
                if !self.seats.is_empty() {
                    let at = self.rng.below(self.seats.len());
                    self.tell("a worker goes");
                    drop(self.seats.swap_remove(at));
                }
                Ok(())
            }
            97 => {
                self.tell("a connection goes, and a new one comes");
                let at = self.rng.below(self.channels.len());
                self.channels[at] = house.connect().await;
                Ok(())
            }
            _ => self.burst().await,
        }
    }

    fn maker(&mut self) -> Maker<'_> {
        Maker::new(self.schema, self.rng, &self.known)
    }

    fn channel(&mut self) -> Channel {
        self.rng.pick(&self.channels).clone()
    }

    fn tell(&self, what: &str) {
        if self.story {
            eprintln!("  {what}");
        }
    }

    async fn start(&mut self) -> Result<(), Finding> {
        let request = CreateInstanceRequest {
            instance_id: self.rng.pick(&self.known.instances).clone(),
            name: (*self.rng.pick(&NAMES)).into(),
            input: self.rng.percent(50).then(|| "1".into()),
            ..Default::default()
        };
        self.call(&self.schema.rpc("StartInstance").clone(), request.encode_to_vec()).await
    }

    async fn join(&mut self) -> Result<(), Finding> {
        let rpc = self.schema.rpc("GetWorkItems").clone();
        let message = if self.rng.percent(80) { Vec::new() } else { self.maker().message(&rpc.request) };
        self.call(&rpc, message).await
    }

    /// A worker takes some of what there is for it, and says something about most of it.
    async fn work(&mut self) -> Result<(), Finding> {
        if self.seats.is_empty() {
            return self.join().await;
        }
        let at = self.rng.below(self.seats.len());
        for _ in 0..=self.rng.below(8) {
            let Some(held) = self.seats[at].next().await? else { return Ok(()) };
            self.known.tokens.push(held.token.clone());
            self.known.executions.push(held.execution.clone());
            if !self.known.instances.contains(&held.instance) && self.known.instances.len() < 12 {
                self.known.instances.push(held.instance.clone());
            }
            if self.rng.percent(15) {
                continue;
            }
            if held.is_episode {
                let rpc = self.schema.rpc("CompleteOrchestratorTask").clone();
                for part in of_episode(&mut self.maker(), &held) {
                    self.call(&rpc, part).await?;
                }
            } else {
                let rpc = self.schema.rpc("CompleteActivityTask").clone();
                let said = of_activity(&mut self.maker(), &held);
                self.call(&rpc, said).await?;
            }
        }
        Ok(())
    }

    /// The same call many times at once.
    async fn burst(&mut self) -> Result<(), Finding> {
        let rpc = self.rng.pick(&self.schema.rpcs).clone();
        let message = self.maker().message(&rpc.request);
        if rpc.streams || message.len() > 1 << 16 {
            return Ok(());
        }
        self.tell(&format!("{BURST} times at once: {}", rpc.name));
        let channel = self.channel();
        let calls = (0..BURST).map(|_| unary(&channel, &rpc, message.clone()));
        for outcome in futures::future::join_all(calls).await {
            outcome?.map_or_else(|status| check(&rpc, &status), |_| Ok(()))?;
        }
        Ok(())
    }

    async fn call(&mut self, rpc: &Rpc, message: Vec<u8>) -> Result<(), Finding> {
        self.tell(&format!("{} with {} bytes", rpc.name, message.len()));
        let channel = self.channel();
        if rpc.streams {
            return self.open(rpc, &channel, message).await;
        }
        match unary(&channel, rpc, message).await? {
            Ok(reply) => self.learn(rpc, reply),
            Err(status) => {
                self.tell(&format!("    {:?}: {}", status.code(), shortened(status.message())));
                check(rpc, &status)
            }
        }
    }

    async fn open(&mut self, rpc: &Rpc, channel: &Channel, message: Vec<u8>) -> Result<(), Finding> {
        let opened = match tokio::time::timeout(PATIENCE, wire::stream(channel, rpc, message)).await {
            Ok(opened) => opened,
            Err(_) => return found(format!("{} was not answered for {PATIENCE:?}", rpc.name)),
        };
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(status) => return check(rpc, &status),
        };
        if rpc.name == "GetWorkItems" {
            if self.seats.len() == SEATS {
                let at = self.rng.below(SEATS + 1);
                if at == SEATS {
                    return Ok(());
                }
                self.seats.swap_remove(at);
            }
            self.seats.push(Seat(stream));
            return Ok(());
        }
        // Some are not read to their end, or not at all.
        for _ in 0..self.rng.below(5) {
            match tokio::time::timeout(PATIENCE, stream.message()).await {
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None)) => break,
                Ok(Err(status)) => return check(rpc, &status),
                Err(_) => return found(format!("{} says nothing for {PATIENCE:?}", rpc.name)),
            }
        }
        Ok(())
    }

    /// What a reply says is used again. That it can be read is a check too.
    fn learn(&mut self, rpc: &Rpc, reply: Bytes) -> Result<(), Finding> {
        let read = match rpc.name.as_str() {
            "StartInstance" => CreateInstanceResponse::decode(reply).map(|started| {
                if self.known.instances.len() < 12 && !self.known.instances.contains(&started.instance_id) {
                    self.known.instances.push(started.instance_id);
                }
            }),
            "GetInstance" | "WaitForInstanceStart" | "WaitForInstanceCompletion" => {
                GetInstanceResponse::decode(reply).map(drop)
            }
            "QueryInstances" => {
                QueryInstancesResponse::decode(reply).map(|page| self.known.cursors.extend(page.continuation_token))
            }
            "ListInstanceIds" => {
                ListInstanceIdsResponse::decode(reply).map(|page| self.known.cursors.extend(page.last_instance_key))
            }
            _ => Ok(()),
        };
        read.or_else(|error| found(format!("the reply of {} cannot be read: {error}", rpc.name)))
    }
}

async fn unary(channel: &Channel, rpc: &Rpc, message: Vec<u8>) -> Result<Result<Bytes, Status>, Finding> {
    let patience = rpc.name.starts_with("WaitFor").then_some(WAIT);
    match tokio::time::timeout(PATIENCE, wire::unary(channel, rpc, message, patience)).await {
        Ok(outcome) => Ok(outcome),
        Err(_) => found(format!("{} was not answered for {PATIENCE:?}", rpc.name)),
    }
}

/// Every refusal says what is the matter by its code.
fn check(rpc: &Rpc, status: &Status) -> Result<(), Finding> {
    match status.code() {
        Code::Unknown | Code::Internal | Code::DataLoss | Code::Ok => {
            found(format!("{} was answered {:?}: {}", rpc.name, status.code(), shortened(status.message())))
        }
        Code::Unavailable => found(format!("{} finds nobody: {}", rpc.name, shortened(status.message()))),
        _ => Ok(()),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}
