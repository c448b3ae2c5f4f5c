//! Random clients, on few ids, so that they collide.

use crate::plan::Fault;
use crate::program::{Input as Program, event_name, name_of};
use crate::replies::Call;
use crate::story::verb;
use crate::worker::part_of;
use crate::world::{World, tell};
use duramen_core::ids::InstanceId;
use duramen_core::partition::Input;
use duramen_core::request::{OnExisting, Request, RequestId, Start, Until, Wait};
use duramen_proto::{CreateInstanceRequest, OrchestrationStatus, Timestamp};
use std::time::Duration;

impl World {
    pub(crate) fn client_step(&mut self) -> bool {
        if self.plan.names.is_empty() {
            return false;
        }
        let flood = self.happens(Fault::Flood, 10);
        if flood {
            self.cover.count("fault: Flood");
        }
        if self.happens(Fault::ClientCancel, 30) {
            self.cancel();
        }
        if self.rng.percent(5) {
            self.list_step();
        }
        self.decide_step();
        for _ in 0..if flood { 40 } else { 1 } {
            let request = self.request();
            self.send(request);
        }
        true
    }

    fn cancel(&mut self) {
        let waits: Vec<u64> = self.calls.keys().copied().collect();
        if waits.is_empty() {
            return;
        }
        let id = *self.rng.pick(&waits);
        let call = self.calls.remove(&id).expect("it was just there");
        if let Some(hub) = self.hubs.iter_mut().find(|hub| hub.life == call.life) {
            let part = part_of(hub, call.request.instance().slot());
            hub.parts[part].inputs.push_back(Input::Cancelled(RequestId(id)));
            self.cover.count("fault: ClientCancel");
        }
    }

    /// Sends a request to the owner of its instance, or to one who thinks so.
    pub(crate) fn send(&mut self, request: Request) -> u64 {
        let number = self.number();
        let hub = if self.quiet { self.owner() } else { self.any_hub() };
        let part = part_of(&self.hubs[hub], request.instance().slot());
        if self.hubs[hub].parts[part].stopped {
            return number;
        }
        tell!(self, "client {number}: {} {}{}", verb(&request), request.instance(), detail(&request));
        if let Request::Purge(purge) = &request {
            match &purge.seen {
                None => *self.causes.purges.entry(purge.id.to_string()).or_default() += 1,
                Some(seen) => drop(self.causes.purges_seen.insert(seen.birth.0)),
            }
        }
        let call = Call {
            request: request.clone(),
            since: self.durable.ever.sequence,
            sent: self.now,
            life: self.hubs[hub].life,
        };
        self.calls.insert(number, call);
        self.hubs[hub].parts[part].inputs.push_back(Input::Request(RequestId(number), request));
        number
    }

    /// A text that nobody else says to this instance.
    fn text(&mut self, id: &str) -> String {
        let text = format!("c{}", self.number());
        self.causes.texts.insert(text.clone(), id.to_owned());
        text
    }

    fn some_id(&mut self) -> String {
        if self.rng.percent(25) && !self.durable.by_id.is_empty() {
            let at = self.rng.below(self.durable.by_id.len());
            let id = self.durable.by_id.keys().nth(at).expect("it is below the length").clone();
            let known = (0..crate::plan::NAMES).find(|name| name_of(*name) == id);
            if known.is_none_or(|name| self.plan.names.contains(&name)) {
                return id;
            }
        }
        name_of(*self.rng.pick(&self.plan.names))
    }

    fn request(&mut self) -> Request {
        let id = self.some_id();
        let instance = InstanceId::new(id.as_str());
        match self.rng.below(100) {
            0..38 => self.start(id),
            38..46 => Request::Get(instance),
            46..58 => {
                let birth = self.durable.instance(&id).map(|instance| duramen_core::ids::Run(instance.head.birth));
                Request::Wait(Wait {
                    id: instance,
                    birth: birth.filter(|_| self.rng.percent(40)),
                    until: if self.rng.percent(30) { Until::Started } else { Until::Completed },
                    timeout: self.rng.percent(40).then(|| Duration::from_millis(*self.rng.pick(&[0, 10, 5_000]))),
                })
            }
            58..70 => {
                let input = self.text(&id);
                Request::Raise { id: instance, name: event_name(self.rng.below(3)), input: Some(input) }
            }
            70..74 => Request::Suspend { reason: Some(self.text(&id)), id: instance },
            74..80 => Request::Resume { reason: Some(self.text(&id)), id: instance },
            80..84 => {
                let output = self.text(&id);
                Request::Terminate { id: instance, output: Some(output), recurse: self.rng.percent(50) }
            }
            84..89 => Request::Rewind { reason: Some(self.text(&id)), id: instance },
            89..92 => {
                let new_id = self.rng.percent(60).then(|| name_of(*self.rng.pick(&self.plan.names)));
                let copy = new_id.clone().unwrap_or(id);
                *self.causes.restarts.entry(copy).or_default() += 1;
                Request::Restart { id: instance, new_id: new_id.map(InstanceId::from) }
            }
            92..97 => Request::Purge(instance.into()),
            _ => Request::History(instance),
        }
    }

    /// No SDK that leaves out tokens gives an id twice: an answer that does would be taken for an old one.
    fn program_seed(&mut self) -> u64 {
        (self.rng.next() >> 8) | u64::from(self.plan.has(Fault::Tokenless))
    }

    /// An id that a hub has given to a child, or will give, or not.
    fn id_of_a_child(&mut self) -> Option<String> {
        let parents = self.durable.instances.len();
        if parents == 0 {
            return None;
        }
        let at = self.rng.below(parents);
        let parent = self.durable.instances.values().nth(at)?;
        let execution = parent.head.execution_id.clone();
        self.cover.count("model: a client asks for a child's id");
        Some(duramen_core::ids::child_id(&execution, self.rng.below(8) as i32).to_string())
    }

    fn start(&mut self, id: String) -> Request {
        use OrchestrationStatus as S;
        let fresh = self.rng.percent(10);
        let id = if fresh {
            format!("fresh-{}", self.number())
        } else if self.rng.percent(4) {
            self.id_of_a_child().unwrap_or(id)
        } else {
            id
        };
        let mark = format!("c{}", self.number());
        self.causes.starts.insert(mark.clone(), id.clone());
        let program = Program { mark, seed: self.program_seed(), depth: self.rng.below(3) as u64, generation: 0 };
        let on_existing = match self.rng.below(10) {
            0..4 => OnExisting::Reject,
            4 => OnExisting::Attach,
            5 => OnExisting::AttachAny,
            6 => OnExisting::Replace(vec![]),
            7 => OnExisting::Replace(vec![S::Running, S::Completed]),
            _ => {
                OnExisting::Replace(vec![S::Running, S::Pending, S::Suspended, S::Terminated, S::Failed, S::Completed])
            }
        };
        let later = self.now.plus(Duration::from_millis(*self.rng.pick(&[0, 3, 40_000])));
        let scheduled = match self.rng.below(10) {
            0 => Some(Timestamp { seconds: 0, nanos: 0 }),
            1 => Some(later.into()),
            _ => None,
        };
        Request::Start(Box::new(Start {
            request: CreateInstanceRequest {
                instance_id: id,
                name: "Program".into(),
                version: self.rng.percent(20).then(|| "1.2".into()),
                input: Some(program.text()),
                scheduled_start_timestamp: scheduled,
                ..CreateInstanceRequest::default()
            },
            fresh,
            on_existing,
        }))
    }
}

fn detail(request: &Request) -> String {
    match request {
        Request::Start(start) => format!(" with {:?} ({:?})", start.request.input, start.on_existing),
        Request::Raise { name, input, .. } => format!(" {name} {input:?}"),
        Request::Wait(wait) => format!(" {:?} {:?}", wait.until, wait.birth),
        Request::Restart { new_id: Some(id), .. } => format!(" as {id}"),
        Request::Terminate { recurse: true, .. } => " with its children".into(),
        Request::Decide { key, verdict, .. } => format!(" {key} {verdict:?}"),
        _ => String::new(),
    }
}
